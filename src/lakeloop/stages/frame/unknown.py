"""Right answers of rows in quarantine that the task does not know: which, how often, and a row of each.

Counts are those that `validate` recorded: of a lake of thousands of days the ledger alone is read, and of the
answers that are shown one day of the quarantine each.
"""

from __future__ import annotations

from collections import Counter

from lakeloop.errors import ConfigurationError
from lakeloop.quality.quarantine import Row, first_with
from lakeloop.quality.rows import answer_codes
from lakeloop.records import Frozen, StageRecord
from lakeloop.spec.reading.nearest import nearest
from lakeloop.stages.frame.progress import days_of
from lakeloop.stages.frame.session import StageContext


class UnknownAnswer(Frozen):
    """One answer that rows have and the task does not."""

    answer: str
    rows: int
    """Rows of all days that were quarantined for nothing else."""
    days: int
    newest: str
    """The newest of these days."""
    close: str
    """The known answer that it looks like; empty where it looks like none."""
    known: bool
    """The loop file knows it by now: its rows come in when their days are judged again."""
    example: Row | None
    """A row of the newest day; only of the most frequent answers."""


def unknown_answers(context: StageContext, shown: int) -> list[UnknownAnswer]:
    """The answers by their rows, most frequent first; `shown` of them with an example.

    Empty for a task whose answers are not listed, and before the first day was judged.
    """
    task = context.loop.task
    if not answer_codes(context.loop):
        return []
    rows: Counter[str] = Counter()
    days: Counter[str] = Counter()
    newest: dict[str, str] = {}
    for day in days_of(_entries(context)):
        judged = day.validate or day.standing
        for answer, times in judged.unknown.items() if judged else ():
            rows[answer] += times
            days[answer] += 1
            newest[answer] = day.partition
    return [
        UnknownAnswer(
            answer=answer,
            rows=times,
            days=days[answer],
            newest=newest[answer],
            close=nearest(answer, task.asked_for) or "",
            known=not task.unknown([answer], normalise=False),
            example=_example(context, answer, newest[answer]) if number < shown else None,
        )
        for number, (answer, times) in enumerate(sorted(rows.items(), key=lambda item: (-item[1], item[0])))
    ]


def _entries(context: StageContext) -> list[StageRecord]:
    try:
        return context.lake.ledger.entries()
    except ConfigurationError:  # no tables yet
        return []


def _example(context: StageContext, answer: str, day: str) -> Row | None:
    return first_with(context.lake, day, answer_codes(context.loop), answer)
