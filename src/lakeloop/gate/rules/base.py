"""The seam of a rule: from the best candidate and the evidence on all models to checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.records import Frozen
from lakeloop.spec.loop import LoopSpec

EXACTNESS = 1e-9
"""Scores closer than this are equal: 0.95 - 0.94 is a little more than 0.01 in floating point."""


class Requirement(Frozen):
    """One thing that was asked of a candidate, and what was found."""

    name: str
    passed: bool
    expected: str
    found: str


class GateRule(Protocol):
    """One rule. Pure: it reads nothing and changes nothing."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        """What the rule asks for by the loop file, whatever the candidate; nothing where that is nothing."""

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:
        """What is asked of `candidate`, the best of `evidence`; nothing where the rule does not apply."""
