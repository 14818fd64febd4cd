"""What a day looks like in a few numbers: its record keeps them, for later days to compare with."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from lakeloop.quality.rows import GOOD
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier

MOST_VALUES = 200
"""Values of a column that are counted: the most frequent ones."""
_MOST_DISTINCT = 5_000
"""A column with more different values than this has none that are compared."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Profile:
    """Of the rows of a day that are about to be published, and of the lines that were read."""

    rows: int
    lines: int
    """Read by ingest."""
    quarantined: int
    """Of these, by any stage."""
    nulls: dict[str, int] = field(default_factory=dict)
    """Column of the mart -> rows without a value."""
    values: dict[str, dict[str, int]] = field(default_factory=dict)
    """Column with few values -> rows with each of the most frequent `MOST_VALUES`."""
    distinct: dict[str, int] = field(default_factory=dict)
    """Such a column -> how many values there are."""
    age_hours: float | None = None
    """From the newest event time to the end of the day; negative where that is later. None: there is none."""

    def json(self) -> str:
        """As it is kept."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, kept: str) -> Profile | None:
        """What `json` wrote; None of a day that was published before profiles were kept."""
        return cls(**json.loads(kept)) if kept else None

    def valued(self, column: str) -> int:
        """Rows that have a value in `column`."""
        return self.rows - self.nulls.get(column, 0)

    def count(self, column: str, value: str) -> int | None:
        """Rows with `value`; None when it may be one of those that were not counted."""
        counted = self.values[column]
        if value in counted or self.distinct[column] <= len(counted):
            return counted.get(value, 0)
        return None


def take_profile(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, partition: str, *, lines: int, quarantined: int
) -> Profile:
    """The profile of the rows of `GOOD`."""
    nulls = (*loop.task.roles(), "event_time")
    counted = ", ".join(f"count(*) filter (where {identifier(name)} is null)" for name in nulls)
    ((rows, newest, *missing),) = connection.execute(
        f"select count(*), cast(epoch(max(event_time)) as double), {counted} from {GOOD}"  # noqa: S608
    ).fetchall()
    zone = ZoneInfo(loop.schedule.timezone)
    end = datetime.combine(date.fromisoformat(partition) + timedelta(days=1), datetime.min.time(), zone)
    values = {name: found for name in _few_valued(loop) if (found := _counted(connection, loop, name))}
    return Profile(
        rows=rows,
        lines=lines,
        quarantined=quarantined,
        nulls=dict(zip(nulls, map(int, missing), strict=True)),
        values={name: dict(found.most_common(MOST_VALUES)) for name, found in values.items()},
        distinct={name: len(found) for name, found in values.items()},
        age_hours=None if newest is None else round((end.timestamp() - newest) / _HOUR.total_seconds(), 4),
    )


def _few_valued(loop: LoopSpec) -> list[str]:
    """Columns of the mart whose values are compared: the answer, where it is one of some, and features."""
    answer = [loop.task.target] if loop.task.answers else []
    return [*answer, *(feature.column for feature in loop.task.features if feature.kept_as == "string")]


def _counted(connection: duckdb.DuckDBPyConnection, loop: LoopSpec, name: str) -> Counter[str]:
    """Value -> rows with it; of an answer of several parts each part. Empty where there are too many."""
    column = identifier(name)
    found: list[tuple[Any, int]] = connection.execute(
        f"select cast({column} as varchar), count(*) from {GOOD} where {column} is not null "  # noqa: S608
        f"group by 1 order by 2 desc, 1 limit {_MOST_DISTINCT + 1}"
    ).fetchall()
    if len(found) > _MOST_DISTINCT:
        return Counter()
    counts: Counter[str] = Counter()
    for value, rows in found:
        parts = loop.task.counted([value], normalise=False) if name == loop.task.target else {value: 1}
        for part in parts:
            counts[part] += rows
    return counts
