"""Further scores stay within the limits that the loop file sets: calibration, latency, size."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import EXACTNESS, Requirement
from lakeloop.measures.registry import limited
from lakeloop.spec.loop import LoopSpec


class Limits:
    """Asks for each score of `gate.limits` to be no worse than said there."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        known = limited(loop.task.kind)
        for name, worst in loop.gate.limits.items():
            yield f"{known[name].title} {known[name].bound} {known[name].told(worst)}"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:  # noqa: ARG002
        known = limited(loop.task.kind)
        for name, worst in loop.gate.limits.items():
            metric, score = known[name], candidate.scores.get(name)
            yield Requirement(
                name=f"limit of {name}",
                passed=score is not None and metric.advantage(score, worst) >= -EXACTNESS,
                expected=f"{metric.title} {metric.bound} {metric.told(worst)}",
                found=candidate.left_out.get(name, "not measured: evaluate again")
                if score is None
                else metric.told(score),
            )
