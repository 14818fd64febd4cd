"""The model server: the champions of some loops, HTTP in front of them, and the log of what they answered."""
