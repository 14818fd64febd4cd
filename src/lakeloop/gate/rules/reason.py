"""The champion gives way for a reason: an equal model, or one a little worse, is none."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Comparison, Evidence, ModelEvidence
from lakeloop.gate.rules.base import Requirement
from lakeloop.measures.base import shown
from lakeloop.measures.paired import SIGNIFICANCE
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.train import CHAMPION

SMALLER = 0.8
"""An artifact of at most this share of another's bytes is smaller: a difference that is worth a release."""
_ASKED = {
    "better": "better than the champion by the test",
    "fresher": "better than the champion by the test, or trained on newer days, or a fifth smaller",
}


class ReasonToReplace:
    """Asks for what `gate.replace` says; for nothing without a champion, or where no rows were compared."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        if (asked := _ASKED.get(loop.gate.replace)) is not None:
            yield f"a reason to replace the champion: {asked}"

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:
        asked, champion = loop.gate.replace, evidence.champion
        found = evidence.comparison_with(CHAMPION, loop.metric.name)
        if champion is None or found is None or found.candidate != candidate.name or asked not in _ASKED:
            return
        reasons = [shown_better(found)]
        if asked == "fresher":
            reasons += [_fresher(candidate, champion), _smaller(candidate, champion)]
        yield Requirement(
            name="reason to replace",
            passed=any(reasons),
            expected=_ASKED[asked],
            found=", ".join(filter(None, reasons)) or in_words(found),
        )


def shown_better(found: Comparison) -> str:
    """That the test shows the leader better, in words; empty where it does not."""
    return in_words(found) if found.chance <= SIGNIFICANCE and found.advantage > 0 else ""


def signed(value: float) -> str:
    """A difference with its sign, in as many digits as its unit needs."""
    return f"{'-' if value < 0 else '+'}{shown(abs(value))}"


def in_words(found: Comparison) -> str:
    """A comparison for people: the advantage with its interval, the chance, the rows that change."""
    sign = "better" if found.advantage >= 0 else "worse"
    of = f", {found.chance:.3f} for the best of {found.candidates}" if found.candidates > 1 else ""
    return (
        f"{shown(abs(found.advantage))} {sign} (90 % interval {signed(found.low)} to {signed(found.high)},"
        f" p {found.p_better:.3f}{of}, {found.test}: {found.gained} rows better, {found.lost} worse)"
    )


def _fresher(candidate: ModelEvidence, champion: ModelEvidence) -> str:
    newer = bool(champion.newest_day) and candidate.newest_day > champion.newest_day
    return f"trained up to {candidate.newest_day}, the champion up to {champion.newest_day}" if newer else ""


def _smaller(candidate: ModelEvidence, champion: ModelEvidence) -> str:
    smaller = 0 < candidate.bytes <= SMALLER * champion.bytes
    return f"{candidate.bytes / 1e6:.1f} MB, the champion {champion.bytes / 1e6:.1f}" if smaller else ""
