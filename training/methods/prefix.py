"""Trained hidden states before each text, others for each layer (prefix tuning, Li and Liang 2021).

Encoders take no keys and values from outside, as prefix tuning has them. Here a layer makes them itself, of
hidden states that are trained: prompts in every layer (P-tuning v2, Liu et al. 2022), of any architecture.
"""

from __future__ import annotations

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.added import Added
from training.methods.base import Method


def prefix(section: spec.PrefixTuning) -> Method:
    return Gradient(Added(spec.PREFIX, section.tokens))
