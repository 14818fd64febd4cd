"""Days that come in any order, again, late, in part, and mended by people end in the same tables.

Each example takes two ways to the same last deliveries and corrections: one as it happened to come, with
stages that ran in between, and one in order of the calendar. Real Delta tables; transform and validate are
those of `quick_stages`. `LAKELOOP_TEST_WAYS=200` tries so many.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakeloop.attempt import Attempt
from lakeloop.errors import TooEarlyError
from lakeloop.lake.corrections import Correction, Spot, all_corrections
from lakeloop.lake.corrections import correct as keep
from lakeloop.quality.quarantine import Wanted
from lakeloop.stages.catalogue import DATA, stage_named
from lakeloop.stages.frame.edited import Edit, editable_row, look_at_edits, write_to_edit
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from tests.support.quick_stages import quick
from tests.support.small_loop import DAYS, small_context, small_loop

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("LAKELOOP_TEST_WAYS", "3"))
"""Each takes three seconds."""
TABLES = ("raw", "staging", "mart", "quarantine")
MOST_STEPS = 4 * len(DAYS) * len(DATA)
"""That a backlog of these days can have; more is work that comes again and again."""
IN_ONE = {
    "kind": "files",
    "path": "drops/*.jsonl",
    "partition_by": "at",
    "key": "id",
    "columns": {"id": "string", "text": "string", "label": "string", "at": "date"},
}

Record = tuple[int, str]
"""Number of a row, and what it is like this time."""
Delivery = list[Record]
Step = tuple[str, int, int]

LABELS = {"good": "tech", "other": "sports", "unknown": "cooking", "odd": "gardening"}
records = st.tuples(st.integers(0, 5), st.sampled_from([*LABELS, "empty", "broken", "wrong"]))
deliveries = st.lists(records, max_size=5)
histories = st.lists(st.lists(deliveries, min_size=1, max_size=3), min_size=len(DAYS), max_size=len(DAYS))
steps = st.lists(
    st.tuples(
        st.sampled_from(["deliver", "deliver", "day", "day", "stage", "mend", "mend", "discard", "upkeep"]),
        st.integers(0, len(DAYS) - 1),
        st.integers(0, 4),
    ),
    max_size=14,
)


def written(record: Record, day: str) -> str:
    """A record as a line of a drop; where its day is read, some kinds are of another than the file's."""
    number, kind = record
    if kind == "broken":
        return f'{{"id": "{number}", "te'
    at = DAYS[(DAYS.index(day) + (kind in ("other", "unknown"))) % len(DAYS)]
    row: dict[str, Any] = {"id": str(number), "at": at, "label": LABELS.get(kind, "business")}
    row["text"] = {"empty": "", "wrong": 5}.get(kind, f"story {number} about {row['label']}")
    if kind == "wrong":
        row["id"] = [number]
    return json.dumps(row)


class Way:
    """One way of the deliveries into a lake of its own."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.folder = folder
        self.context: StageContext = small_context(folder, small_loop(**sections), Attempt("way:1"))
        (folder / "drops").mkdir()

    def deliver(self, day: str, delivery: Delivery) -> None:
        lines = "".join(f"{written(record, day)}\n" for record in delivery)
        (self.folder / f"drops/{day}.jsonl").write_text(lines)

    def deliver_first(self) -> None:
        """A row of the first day that stays; in a file of its own, which days of their own files pass by."""
        (self.folder / "drops/first.jsonl").write_text(f"{written((9, 'good'), DAYS[0])}\n")

    def run(self, stage: str, day: str) -> None:
        if stage != "ingest" and self.context.lake.ledger.latest("ingest", day, "done") is None:
            return
        with suppress(TooEarlyError):  # asked for before its time
            stage_named(stage).function(self.context, day)

    def settle(self) -> None:
        """Do what is left to do, as maintenance would."""
        for _ in range(MOST_STEPS):
            due = [step for step in work_left(self.context) if step.stage in DATA]
            if not due:
                return
            self.run(due[0].stage, due[0].partition)
        raise AssertionError(f"still to do: {due}")

    def mend(self, day: str, which: int, *, discard: bool) -> None:
        """A person makes something of one row of the quarantine, and leaves the rest to the schedule."""
        path = self.folder / "rows.jsonl"
        write_to_edit(self.context, Wanted(partition=day), path)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        if not rows:
            return
        row = rows[which % len(rows)]
        spot = row["quarantine.file"], row["quarantine.line"]
        assert editable_row(self.context, day, *spot) is not None
        # What is made of a record follows from the record: whoever mends it first.
        made = {
            "id": str(row["id"] or "9"),
            "text": f"mended {row['quarantine.record'][:9]}",
            "label": "tech",
        }
        made = {name: value for name, value in made.items() if name in row}
        edit = Edit(day, *spot, discard, {} if discard else made, 1)
        edits = look_at_edits(self.context, [edit], "typing", "ann")
        assert edits.problems == []
        keep(self.context.lake, edits.corrections, self.context.attempt)

    def tables(self) -> Iterator[tuple[str, str, list[str]]]:
        """Table, day and its rows, as they are told apart."""
        for table in TABLES:
            for day in DAYS:
                rows = self.context.lake.read(table, partition=day).to_pylist()
                yield table, day, sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)

    def digests(self) -> dict[tuple[str, str], str]:
        return {
            (table, day): self.context.lake.digest(table, partition=day) for table in TABLES for day in DAYS
        }


def as_it_came(way: Way, history: list[list[Delivery]], taken: list[Step]) -> None:
    """Take the steps, then bring what was not delivered yet, and settle."""
    left = {day: list(each) for day, each in zip(DAYS, history, strict=True)}
    for kind, number, which in taken:
        day = DAYS[number]
        if kind == "deliver" and left[day]:
            way.deliver(day, left[day].pop(0))
        elif kind == "day":
            for stage in DATA:
                way.run(stage, day)
        elif kind == "stage":
            way.run(DATA[which % len(DATA)], day)
        elif kind in ("mend", "discard"):
            way.mend(day, which, discard=kind == "discard")
        elif kind == "upkeep":
            way.settle()
    for day in DAYS:
        for delivery in left[day]:
            way.deliver(day, delivery)
    way.run("ingest", DAYS[0])  # a loop begins with the first day that somebody asks for
    way.settle()


def in_order(way: Way, history: list[list[Delivery]], other: Way) -> None:
    """The last deliveries alone, day after day, with all that people mended on the other way known before.

    They mended one record after the other, and here in the opposite order.
    """
    records: dict[tuple[Spot, str], list[Correction]] = {}
    for _, each, _ in all_corrections(other.context.lake):
        records.setdefault((each.spot, each.before), []).append(each)
    for corrections in reversed(records.values()):
        for each in corrections:
            keep(way.context.lake, [each], way.context.attempt)
    for day, deliveries in zip(DAYS, history, strict=True):
        way.deliver(day, deliveries[-1])
    for day in DAYS:
        for stage in DATA:
            way.run(stage, day)


MOVED = [[[(0, "good"), (1, "good")], [(0, "other"), (1, "other")]], [[(2, "good")]], [[]]]
"""Of the first file all rows come to be of the next day."""


@given(history=histories, taken=steps)
@example(  # another record at the place of one that was mended, which comes back
    history=[[[(0, "unknown")], [(1, "odd")], [(0, "unknown")]], [[]], [[]]],
    taken=[("deliver", 0, 0), ("day", 0, 0), ("mend", 0, 0)] * 2,
)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_days_end_in_the_same_tables_however_they_came(
    history: list[list[Delivery]], taken: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_alike(history, taken, monkeypatch)


@given(history=histories, taken=steps)
@example(history=[MOVED[1], MOVED[0], MOVED[2]], taken=[("deliver", 1, 0), ("upkeep", 0, 0), ("day", 1, 0)])
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_that_move_between_the_days_of_files_end_in_the_same_tables(
    history: list[list[Delivery]], taken: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_alike(history, taken, monkeypatch, source=IN_ONE)


def ends_alike(
    history: list[list[Delivery]], taken: list[Step], monkeypatch: pytest.MonkeyPatch, **sections: Any
) -> None:
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as two,
        monkeypatch.context() as patch,
    ):
        for folder in (one, two):
            quick(patch, Path(folder) / "dbt")
        came, ordered = Way(Path(one), **sections), Way(Path(two), **sections)
        for way in (came, ordered):  # the days that are looked at begin with the first
            way.deliver_first()
        as_it_came(came, history, taken)
        in_order(ordered, history, came)
        assert list(came.tables()) == list(ordered.tables())
        assert came.digests() == ordered.digests()
