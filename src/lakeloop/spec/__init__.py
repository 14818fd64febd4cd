"""The loop file: its models, how it is read, and what is said when it is wrong.

Import the submodules directly. All of them are light: they are imported while DAG files are parsed.
"""
