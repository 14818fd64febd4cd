"""What was learnt was tested, too."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import Requirement
from lakeloop.plural import few
from lakeloop.spec.loop import LoopSpec


class Untested:
    """Names answers that have no test rows, or were not learnt; refuses where the loop file says so."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        if loop.gate.untested == "refuse":
            yield "test rows for each answer that was learnt"
        if loop.train.missing_answers == "refuse":
            yield "training rows for each answer of the task"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:  # noqa: ARG002
        if evidence.untested:
            yield Requirement(
                name="tested answers",
                passed=loop.gate.untested != "refuse",
                expected="test rows for each answer that was learnt",
                found=f"no test rows of {few(evidence.untested)}",
            )
        if evidence.unlearnt:
            yield Requirement(
                name="learnt answers",
                passed=loop.train.missing_answers != "refuse",
                expected="training rows for each answer of the task",
                found=f"no training rows of {few(evidence.unlearnt)}, which it cannot answer",
            )
