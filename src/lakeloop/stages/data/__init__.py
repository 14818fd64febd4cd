"""Stages from a drop to the mart: ingest, transform, validate."""
