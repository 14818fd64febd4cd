"""Scores of answers against what is true: their names, directions and formulas.

Light: names and directions are read while a DAG file is parsed; a formula imports numpy when it is called.
"""
