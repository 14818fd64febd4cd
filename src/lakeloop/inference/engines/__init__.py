"""What runs a network: one file an engine."""
