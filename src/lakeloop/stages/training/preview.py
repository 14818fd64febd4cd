"""What a data set of the rows published now would be: its sides, leaks, answers without rows."""

from __future__ import annotations

from collections import Counter

from lakeloop.datasets.published import published_partitions
from lakeloop.measures.leaking import LeakReport
from lakeloop.records import Frozen
from lakeloop.spec.split import Split
from lakeloop.stages.frame.beside import require_same_columns
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dealt import deal_out
from lakeloop.stages.training.plan import decide_training

Sides = dict[str, int]
"""Side of the split -> rows."""


class Plan(Frozen):
    """The next training of a loop, before anything is done."""

    loop: str
    partition: str
    """The newest published day; empty when no day is published."""
    due: bool
    decision: str
    """Whether a training is due, and why."""
    split: str
    """In words, how rows are dealt."""
    rows: Sides
    left_out: int
    """Rows that repeat another, or tell of one that judges them."""
    days: dict[str, Sides]
    answers: dict[str, Sides]
    missing: str
    """Answers without training or test rows, in words; empty where all have some."""
    leaks: LeakReport


def plan(context: StageContext) -> Plan:
    """Deal the rows that are published now, as `dataset` would; nothing is written.

    Raises:
        DataError: rows do not fit the task any more, or were built with other columns beside the text.
        FenceError: a day of the mart is being published at this moment.
    """
    from lakeloop.datasets.dealing import SPLITS
    from lakeloop.datasets.missing import answer_counts, missing_answers

    loop, entries = context.loop, context.lake.ledger.entries()
    decision, published = decide_training(context), published_partitions(entries)
    if not published:
        return Plan(
            loop=loop.name, partition="", due=False, decision=decision.reason, split=split_words(loop.split),
            rows={}, left_out=0, days={}, answers={}, missing="", leaks=LeakReport(),
        )  # fmt: skip
    require_same_columns(published, entries, loop)
    dealt = deal_out(context, published, context.lake.version("mart"))
    tables, task = dealt.assembled.tables, loop.task
    by_day = {name: Counter(tables[name]["partition"].to_pylist()) for name in SPLITS}
    by_answer = answer_counts(tables, task)
    return Plan(
        loop=loop.name,
        partition=max(published),
        due=decision.train,
        decision=decision.reason,
        split=split_words(loop.split, first=loop.split.first_test_day(published)),
        rows={name: tables[name].num_rows for name in SPLITS},
        left_out=dealt.assembled.left_out,
        days={day: {name: by_day[name][day] for name in SPLITS} for day in published},
        answers={answer: {name: by_answer[name][answer] for name in SPLITS} for answer in task.asked_for},
        missing=missing_answers(by_answer, task).words,
        leaks=dealt.leaks,
    )


def split_words(split: Split, first: str = "") -> str:
    """How rows are dealt, for people; `first` is the first test day, by time."""
    apart = f", rows of one {split.group} on one side" if split.group else ""
    if split.by == "hash":
        return f"by hash: {split.test:.0%} test, {split.validation:.0%} validation{apart}"
    since = f", from {first} on" if first else ""
    return (
        f"by time: the newest {split.test_days} day(s) are the test{since}; of those before"
        f" {split.validation:.0%} validation{apart}"
    )
