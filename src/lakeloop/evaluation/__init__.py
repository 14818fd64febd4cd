"""Evaluation: what reloaded artifacts answer on the test rows, what is found of that, and a page about it."""
