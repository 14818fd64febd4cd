"""What is known only later: a moment in a row that is later than its day, a test row older than the test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakeloop.datasets.leaks.base import Looked, share
from lakeloop.measures.leaking import Leak
from lakeloop.spec.leaks import Kind
from lakeloop.spec.loop import LoopSpec


class FutureTimes:
    """No timestamp or date of a row is later than its day, as `schedule.timezone` has days."""

    kind: ClassVar[Kind] = "future"

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:
        ignored = loop.leaks.ignore
        types = loop.source.types.items()
        return tuple(name for name, kind in types if kind in ("timestamp", "date") and name not in ignored)

    def unfit(self, loop: LoopSpec) -> str:
        return "" if self.needs(loop) else "source.columns has no timestamp and no date to look at"

    def look(self, looked: Looked) -> Iterator[Leak]:
        for name in self.needs(looked.loop):
            values = looked.raw[name]
            if leak := _later(looked, name, values):
                yield leak
            if name == looked.loop.source.event_time and (leak := _older(looked, name, values)):
                yield leak


def _later(looked: Looked, name: str, values: pa.ChunkedArray) -> Leak | None:
    """The rows whose day is over at the moment that they have in column `name`."""
    places = np.flatnonzero(_at_least(looked, values, shift=1))
    if not len(places):
        return None
    filled = len(values) - values.null_count
    return Leak(
        kind="future",
        column=name,
        rows=len(places),
        found=f"{len(places)} of {filled} rows ({share(len(places), filled)}) have a moment that is later"
        " than their day: what they say was not known on it",
        examples=looked.examples(places, lambda place: f"{name} {values[int(place)].as_py()}"),
    )


def _older(looked: Looked, name: str, values: pa.ChunkedArray) -> Leak | None:
    """The test rows of a split by time that happened before the first test day."""
    if looked.loop.split.by != "time":
        return None
    first = looked.loop.split.first_test_day(looked.rows["partition"].unique().to_pylist())
    days = pa.chunked_array([pa.repeat(pa.scalar(first), looked.rows.num_rows)])
    filled = np.asarray(pc.is_valid(values).to_numpy(), dtype=np.bool_)
    places = np.flatnonzero(looked.test & filled & ~_at_least(looked, values, shift=0, days=days))
    if not len(places):
        return None
    tested = int(looked.test.sum())
    return Leak(
        kind="future",
        column=name,
        rows=len(places),
        found=f"{len(places)} of {tested} test rows ({share(len(places), tested)}) are older than {first},"
        " from which day on rows are test rows: rows of the training may be newer",
        examples=looked.examples(places, lambda place: f"{name} {values[int(place)].as_py()}"),
    )


def _at_least(
    looked: Looked, values: pa.ChunkedArray, shift: int, days: pa.ChunkedArray | None = None
) -> NDArray[np.bool_]:
    """Whether a moment is at or after the beginning of the day that is `shift` days after the row's."""
    known = (looked.rows["partition"] if days is None else days).dictionary_encode().unify_dictionaries()
    limits: list[date] = [
        date.fromisoformat(day) + timedelta(days=shift) for day in known.chunk(0).dictionary.to_pylist()
    ] if known.num_chunks else []  # fmt: skip
    if pa.types.is_date(values.type):
        begins = pa.array(limits, pa.date32())
    else:
        zone = ZoneInfo(looked.loop.schedule.timezone)
        midnights = [datetime(*day.timetuple()[:3], tzinfo=zone).astimezone(UTC) for day in limits]
        begins = pa.array(midnights, values.type)
    numbers = pa.chunked_array([chunk.indices for chunk in known.chunks], pa.int32())
    later = pc.greater_equal(values, begins.take(numbers.combine_chunks()))
    return np.asarray(pc.fill_null(later, False).to_numpy(), dtype=np.bool_)
