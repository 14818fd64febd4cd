"""Cleaning of texts in front of a model: named steps on Arrow arrays, equal to what dbt does for the mart.

An artifact names the steps that its training texts went through, so that the model reads the same kind.
"""
