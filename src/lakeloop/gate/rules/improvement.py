"""The candidate is no worse than the champion, and than the best version before it, on the same rows."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import EXACTNESS, Requirement
from lakeloop.measures.base import shown
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.train import CHAMPION


class NoRegression:
    """Asks for at most `gate.max_regression` worse than the champion; for nothing without a champion.

    The same against the best version of the history: else each champion could be a little worse than the
    last.
    """

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        most = f"{100 * loop.slack:.3g} %" if loop.metric.relative else shown(loop.slack)
        yield f"at most {most} worse than the champion, and than the best version of the loop's history"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:
        if evidence.champion:
            yield _no_worse(candidate, evidence.champion, "the champion", loop)
        if evidence.best:
            yield _no_worse(candidate, evidence.best, f"the {evidence.best.title}", loop)


def _no_worse(candidate: ModelEvidence, other: ModelEvidence, named: str, loop: LoopSpec) -> Requirement:
    metric = loop.metric
    score, reigning = candidate.scores[metric.name], other.scores[metric.name]
    allowed = metric.allowed(reigning, loop.slack)
    lead = metric.advantage(score, reigning)
    return Requirement(
        name="no regression" if other.name == CHAMPION else f"no regression from {named}",
        passed=lead >= -(allowed + EXACTNESS),
        expected=f"at most {shown(allowed)} worse than {named}'s {shown(reigning)}",
        found=f"{shown(score)}, {shown(abs(lead))} {'better' if lead >= 0 else 'worse'}",
    )
