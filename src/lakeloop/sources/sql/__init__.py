"""Source `sql`: rows of a database, those of one day a delivery."""
