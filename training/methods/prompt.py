"""Trained vectors before each text (prompt tuning, Lester et al. 2021)."""

from __future__ import annotations

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.added import Added
from training.methods.base import Method


def prompt(section: spec.PromptTuning) -> Method:
    return Gradient(Added(spec.PROMPT, section.tokens))
