"""The lake: Delta tables and folders that hold the whole state of a loop. Import the submodules directly."""
