"""Which answers that a loop asks for no published row has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lakeloop.stages.frame.session import StageContext


def absence(context: StageContext, partition: str) -> str:
    """Which answers that the task asks for no published row has; rows are read until all were seen.

    Those of the day come first: it mostly has all of them, and the table has a file for each day.
    """
    task = context.loop.task
    wanted = set(task.asked_for)
    if not wanted or wanted <= _answers(context, wanted, {"partition": partition}).keys():
        return ""
    there = _answers(context, wanted, {})
    return "" if wanted <= there.keys() else task.absence(there)


def _answers(context: StageContext, wanted: set[str], where: Mapping[str, Any]) -> Counter[str]:
    """The right answers of published rows, each with its rows, until all that are `wanted` were seen."""
    task = context.loop.task
    there: Counter[str] = Counter()
    for batch in context.lake.scan("mart", columns=[task.target], **where):
        there += task.counted(batch[task.target].to_pylist(), normalise=False)
        if wanted <= there.keys():
            break
    return there
