"""The candidate is good enough by itself."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import EXACTNESS, Requirement
from lakeloop.measures.base import shown
from lakeloop.spec.loop import LoopSpec


class Floor:
    """Asks for `gate.min_score`, else for the bar of the metric; for nothing where there is neither."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        if (least := loop.least_score) is not None:
            yield f"{loop.metric.title} {loop.metric.bound} {shown(least)}"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:  # noqa: ARG002
        metric, least = loop.metric, loop.least_score
        if least is None:
            return
        score = candidate.scores[metric.name]
        yield Requirement(
            name="minimum score" if metric.higher_is_better else "maximum score",
            passed=metric.advantage(score, least) >= -EXACTNESS,
            expected=f"{metric.title} {metric.bound} {shown(least)}",
            found=shown(score),
        )
