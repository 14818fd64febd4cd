"""How many rows of a day that was published again are new to a training: those that are not in its data set.

The rows of the day as they are now beside those in the version of the mart that the training pinned. Rows are
compared by their key and what a model is given, not by where they stood in a file.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakeloop.datasets.decision import EarlierTraining, NewRows, all_rows
from lakeloop.datasets.published import PublishedPartition

if TYPE_CHECKING:
    from lakeloop.lake.store import Lake

log = logging.getLogger(__name__)

KEY = "row_id"

_MOST_ROWS = 5_000_000
"""Of a day; of a larger one all rows count, rather than holding 32 bytes for each."""
_counted: dict[tuple[str, ...], int] = {}
"""Both contents of a day -> rows that only the later one has. A page asks again and again."""
_MOST_COUNTED = 1000


def new_rows_in(lake: Lake, columns: Sequence[str]) -> NewRows:
    """Counts in `lake`; `columns` of the mart are what a model is given of a row.

    All rows of the day count when its earlier version is gone (upkeep deletes what nobody pins), when it had
    other columns, and when the day is very large.
    """

    def count(day: PublishedPartition, training: EarlierTraining) -> int:
        version, before = training.mart_version, training.partitions.get(day.partition)
        if version is None or before is None or day.rows > _MOST_ROWS:
            return all_rows(day, training)
        contents = (lake.uri("mart"), day.partition, before, day.digest, *columns)
        if contents not in _counted:
            found = _count(lake, day, version, [KEY, *columns])
            if found is None:
                return all_rows(day, training)
            if len(_counted) >= _MOST_COUNTED:
                _counted.clear()
            _counted[contents] = found
        return _counted[contents]

    return count


def _count(lake: Lake, day: PublishedPartition, version: int, columns: list[str]) -> int | None:
    """Rows of `day` that are not in this version of the mart; None when that cannot be read any more."""
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    from lakeloop.errors import LakeloopError
    from lakeloop.lake.digest import count_unknown

    try:
        rows = lake.scan("mart", columns=columns, partition=day.partition)
        known = lake.scan("mart", version=version, columns=columns, partition=day.partition)
        return min(day.rows, count_unknown(rows, known, columns))
    except (OSError, DeltaError, pa.ArrowException, LakeloopError) as error:
        log.info("mart version %d of %s cannot be read any more: %s", version, day.partition, error)
        return None
