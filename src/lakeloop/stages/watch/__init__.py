"""Stages after release: monitor, maintain."""
