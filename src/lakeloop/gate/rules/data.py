"""The comparison itself is sound: another model than the champion, asked the same rows."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import Requirement
from lakeloop.spec.loop import LoopSpec


class SoundComparison:
    """Another model than the champion, and the same rows for both."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:  # noqa: ARG002
        yield "another model than the champion, asked the same rows"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:  # noqa: ARG002
        champion = evidence.champion
        if champion is None:
            return
        same_model = candidate.digest == champion.digest
        yield Requirement(
            name="new model",
            passed=not same_model,
            expected="another model than the champion",
            found=f"artifact {candidate.digest[:12]}" + " is already champion" * same_model,
        )
        yield Requirement(
            name="same rows",
            passed=candidate.rows_digest == champion.rows_digest,
            expected=f"the {evidence.rows} test rows of the candidate",
            found=f"test rows with digest {champion.rows_digest[:12]}",
        )
