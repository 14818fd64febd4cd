"""Trained scales of random low-rank adapters (VeRA, Kopiczko et al. 2024); merged into the weights."""

from __future__ import annotations

from peft import VeraConfig

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method
from training.methods.merged import ALL, Merged


def vera(section: spec.Vera) -> Method:
    return Gradient(Merged(VeraConfig(r=section.rank, target_modules=ALL)))
