"""Evaluation: what a reloaded artifact answers on the test rows, its scores, and a page that shows them."""
