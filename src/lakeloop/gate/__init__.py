"""The gate: rules and scores in, a decision with its reason out."""
