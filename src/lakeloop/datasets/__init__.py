"""Data sets: the mart dealt into train, validation and test rows, and frozen under a digest."""
