"""Stages from the mart to scored candidates: dataset, train, evaluate."""
