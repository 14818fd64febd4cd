"""The gate: what an evaluation found and the loop's rules in, a decision with its reason out."""
