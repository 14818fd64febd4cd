"""Stages from a candidate to traffic: release, rollout."""
