"""The test says something of rows of tomorrow: nothing of it was known in the training."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import Requirement
from lakeloop.spec.loop import LoopSpec


class NoLeak:
    """Asks that no test row was trained on; names what is suspected, refuses what `leaks.refuse` says."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        yield "no test row among the rows of the training"
        if loop.leaks.refuse:
            yield f"no leak in the data set by {', '.join(loop.leaks.refuse)}"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:  # noqa: ARG002
        if evidence.leaked is not None:
            yield Requirement(
                name="no leak",
                passed=not evidence.leaked,
                expected="no test row among the rows of the training",
                found=f"{evidence.leaked} of {evidence.rows} test rows",
            )
        for leak in evidence.leaks:
            refused = leak.kind in loop.leaks.refuse
            yield Requirement(
                name=f"no leak by {leak.kind}",
                passed=not refused,
                expected="nothing suspicious in the data set" + ("" if refused else "; it is only named"),
                found=f"{leak.column}: {leak.found}",
            )
