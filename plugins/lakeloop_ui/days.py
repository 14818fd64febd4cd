"""The values of a loop's days: months as grids of cells, and what is known of one day."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from lakeloop_airflow.links import DATA_DOCS, failure_links, published

from lakeloop.records import StageRecord
from lakeloop.registry.impact import publications
from lakeloop.settings import Settings
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.activity import StageActivity
from lakeloop.stages.frame.pending import Pending
from lakeloop.stages.frame.status import LoopStatus, PartitionStatus

State = Literal["published", "standing", "failed", "under-way", "missing"]

WORDS: dict[State, tuple[str, str]] = {
    "published": ("✓", "published"),
    "standing": ("↺", "an earlier version stands"),
    "failed": ("✕", "failed"),
    "under-way": ("…", "not published yet"),
    "missing": ("·", "missing"),
}
"""State of a day -> a sign for who sees no colours, and words."""

SHOWN_MONTHS = 3


@dataclass(frozen=True)
class Cell:
    """One day of a calendar."""

    day: str
    number: int
    state: State | None
    """None outside of the days that the loop is about."""
    rows: str = ""
    """For people: how many rows of it were accepted."""

    @property
    def sign(self) -> str:
        return WORDS[self.state][0] if self.state else ""

    @property
    def words(self) -> str:
        if self.state is None:
            return self.day
        return f"{self.day}: {WORDS[self.state][1]}{', ' if self.rows else ''}{self.rows}"


@dataclass(frozen=True)
class Month:
    title: str
    weeks: tuple[tuple[Cell | None, ...], ...]
    """With days of the loop, of seven days from Monday; None for a day of another month."""


@dataclass(frozen=True)
class Calendar:
    """Some months of a loop, oldest first."""

    months: tuple[Month, ...]
    earlier: str = ""
    """The newest of the months before, as 2026-08; empty where there are none."""
    later: str = ""
    """The newest month of the page after; empty on the last."""


@dataclass(frozen=True)
class OneDay:
    """What is known of one day."""

    day: str
    state: State
    status: PartitionStatus | None
    entries: tuple[StageRecord, ...]
    """What the stages of data recorded last, in the order of the stages."""
    failures: tuple[StageActivity, ...]
    waits: tuple[Pending, ...]
    data_docs: str
    """Address of the results of its checks; empty where there are none."""
    editions: int = 0
    """How often it was published with other rows."""

    @property
    def words(self) -> str:
        return WORDS[self.state][1]


def states_of(status: LoopStatus) -> dict[str, State]:
    """Day -> its state, of each day that anything is known of."""
    found: dict[str, State] = {}
    for work in _failures(status):
        found[work.partition] = "failed"
    for day in status.partitions:
        if day.failed or not day.reconciled:
            found[day.partition] = "failed"
        elif day.published:
            found[day.partition] = "published"
        else:
            found[day.partition] = "standing" if day.standing else "under-way"
    for work in status.running:
        if work.partition not in found and _is_data(work.stage):
            found[work.partition] = "under-way"
    return found


def calendar_of(status: LoopStatus, until: str = "") -> Calendar:
    """The newest months with days, or those up to the month `until`.

    A day without a state between the first and the last is missing. Weeks and months without a day of the
    loop are passed over.
    """
    states = {day: state for day, state in states_of(status).items() if _is_day(day)}
    if not states:
        return Calendar(())
    first, last = min(states), max(states)
    months = sorted({day[:7] for day in states})
    end = next((place for place in range(len(months), 0, -1) if months[place - 1] <= until), len(months))
    begin = max(0, end - SHOWN_MONTHS)
    rows = {day.partition: f"{day.accepted:,} of {day.read:,} rows" for day in status.partitions}

    def cell(day: date) -> Cell:
        name = day.isoformat()
        state = states.get(name, "missing" if first <= name <= last else None)
        return Cell(name, day.day, state, rows.get(name, ""))

    return Calendar(
        months=tuple(_month(name, cell) for name in months[begin:end]),
        earlier=months[begin - 1] if begin else "",
        later=months[min(end + SHOWN_MONTHS, len(months)) - 1] if end < len(months) else "",
    )


def one_day(
    status: LoopStatus, entries: Sequence[StageRecord], settings: Settings, day: str
) -> OneDay | None:
    """What is known of `day`; None for one that the loop is not about."""
    states = states_of(status)
    if not _is_day(day) or not states or not min(states) <= day <= max(states):
        return None
    newest = {
        entry.stage: entry
        for entry in entries
        if entry.partition == day and _is_data(entry.stage) and entry.status != "unchanged"
    }
    validated = newest.get("validate")
    failures = tuple(work for work in _failures(status) if work.partition == day)
    docs = published(validated.links.get("data_docs", ""), settings, status.loop) if validated else ""
    if failures:  # the report of the checks that stopped it
        docs = failure_links(settings, status.loop, failures[-1].stage, day).get(DATA_DOCS, docs)
    return OneDay(
        day=day,
        state=states.get(day, "missing"),
        status=next((one for one in status.partitions if one.partition == day), None),
        entries=tuple(newest[name] for name in ("ingest", "transform", "validate") if name in newest),
        failures=failures,
        waits=tuple(step for step in status.pending if step.partition == day),
        data_docs=docs,
        editions=len(publications(entries, day)),
    )


def _month(name: str, cell: Callable[[date], Cell]) -> Month:
    year, number = (int(part) for part in name.split("-"))
    weeks = [
        tuple(cell(day) if day.month == number else None for day in week)
        for week in calendar.Calendar().monthdatescalendar(year, number)
    ]
    kept = tuple(week for week in weeks if any(one and one.state for one in week))
    return Month(f"{calendar.month_name[number]} {year}", kept)


def _failures(status: LoopStatus) -> list[StageActivity]:
    return [work for work in status.failed if _is_data(work.stage)]


def _is_data(stage: str) -> bool:
    try:
        return stage_named(stage).phase == "data"
    except KeyError:
        return False


def _is_day(name: str) -> bool:
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    return len(name) == len("2026-11-20")
