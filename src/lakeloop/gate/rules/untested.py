"""What was learnt was tested, too."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import Requirement
from lakeloop.spec.loop import LoopSpec

_NAMED = 10


class Untested:
    """Names answers that have no test rows; refuses where `gate.untested` says so."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        if loop.gate.untested == "refuse":
            yield "test rows for each answer that was learnt"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:  # noqa: ARG002
        names = evidence.untested
        if not names:
            return
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield Requirement(
            name="tested answers",
            passed=loop.gate.untested != "refuse",
            expected="test rows for each answer that was learnt",
            found=f"no test rows of {', '.join(names[:_NAMED])}{more}",
        )
