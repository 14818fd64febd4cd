"""The candidate is no worse than the champion on the same rows."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import EXACTNESS, Requirement
from lakeloop.measures.base import shown
from lakeloop.spec.loop import LoopSpec


class NoRegression:
    """Asks for at most `gate.max_regression` worse than the champion; for nothing without a champion."""

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:
        if evidence.champion is None:
            return
        metric = loop.metric
        score, reigning = candidate.scores[metric.name], evidence.champion.scores[metric.name]
        allowed = metric.allowed(reigning, loop.slack)
        lead = metric.advantage(score, reigning)
        yield Requirement(
            name="no regression",
            passed=lead >= -(allowed + EXACTNESS),
            expected=f"at most {shown(allowed)} worse than the champion's {shown(reigning)}",
            found=f"{shown(score)}, {shown(abs(lead))} {'better' if lead >= 0 else 'worse'}",
        )
