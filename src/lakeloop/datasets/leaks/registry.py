"""The one list of kinds of leaks, in the order in which they are told, and the search for all of them."""

from __future__ import annotations

from lakeloop.datasets.leaks.alike import TextsAlike
from lakeloop.datasets.leaks.base import LeakCheck, Looked
from lakeloop.datasets.leaks.copied import CopiedTarget
from lakeloop.datasets.leaks.future import FutureTimes
from lakeloop.datasets.leaks.keys import KeysOnBothSides
from lakeloop.datasets.leaks.written import WrittenTarget
from lakeloop.measures.leaking import Leak, LeakReport
from lakeloop.spec.loop import LoopSpec

CHECKS: tuple[LeakCheck, ...] = (
    CopiedTarget(),
    WrittenTarget(),
    FutureTimes(),
    KeysOnBothSides(),
    TextsAlike(),
)


def needed(loop: LoopSpec) -> tuple[str, ...]:
    """The columns of the source that the checks look at, besides what the mart has."""
    asked = [check for check in CHECKS if not _why_not(check, loop)]
    return tuple(dict.fromkeys(name for check in asked for name in check.needs(loop)))


def look(looked: Looked) -> LeakReport:
    """What is suspicious of a data set, and what was not looked for."""
    leaks: list[Leak] = []
    passed: dict[str, str] = {}
    for check in CHECKS:
        if why := _why_not(check, looked.loop):
            passed[check.kind] = why
        else:
            leaks += check.look(looked)
    return LeakReport(leaks=tuple(leaks), not_looked=passed)


def _why_not(check: LeakCheck, loop: LoopSpec) -> str:
    return "leaks.skip" if check.kind in loop.leaks.skip else check.unfit(loop)
