"""What the DAG files are built from: assets, defaults, forms, operators, links, the choice of the partition.

Imported while DAG files are parsed, so nothing heavy is imported at module level here: stages are imported
inside the task that runs them. Import the modules directly; this file stays empty.
"""
