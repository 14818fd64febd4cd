"""Deal the rows of the mart into train, validation and test. Pure: tables in, tables out.

Which side a row falls on is `dealing`. Texts that are alike are on one side, and of near-duplicates one row
is taken: tomorrow's data set has today's test rows in its test split, until by time they are too old for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakeloop.cleaning.length import lengths, outliers
from lakeloop.cleaning.near import joined, repeats
from lakeloop.cleaning.similar import similar as much_alike
from lakeloop.datasets.dealing import SPLITS, Sides, SplitName, apart, sides_of
from lakeloop.spec.clean import TextLength
from lakeloop.spec.split import Split
from lakeloop.spec.tasks.base import LANGUAGE, TEXT

_KEPT = ("row_id", "text_key", "partition", LANGUAGE)
_ORDER = [("partition", "ascending"), ("source_line", "ascending"), ("row_id", "ascending")]


@dataclass(frozen=True)
class Assembled:
    """The three splits, each with the key, the columns of the task, and the day; and what was left out."""

    tables: Mapping[SplitName, pa.Table]
    duplicates: int
    """Rows with a near-duplicate in an earlier partition or line."""
    similar: int = 0
    """Other rows that are much like an earlier one, where that was asked for."""
    unusual: int = 0
    """Training rows that are left out for their length, where that was asked for."""
    apart: int = 0
    """Other rows that would tell of those that judge them: older ones of a text or group of the test."""
    aside: Mapping[SplitName, pa.Table] = field(default_factory=dict)
    """The other columns of the mart, row for row, which are not frozen."""

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())

    @property
    def left_out(self) -> int:
        """Rows that are in no split."""
        return self.duplicates + self.similar + self.apart


def assemble(
    mart: pa.Table,
    split: Split,
    columns: Collection[str],
    reads: Sequence[str] = (TEXT,),
    similar: float | None = None,
    length: TextLength | None = None,
) -> Assembled:
    """Deal the rows of `mart` (its columns, any order of rows); of near-duplicates the earliest row stays.

    `columns` are those of the task, in the order of the mart; rows are alike in those that a model `reads`.
    Of rows that are as `similar` as that (see `cleaning.similar`) the earliest stays as well. Where `split`
    goes by time or group a text may be on several sides: a test row stays before a row that is no such one.
    Rows whose `length` is unusual among those that are left are none to train on.
    """
    mart = mart.sort_by(_ORDER)
    sides = sides_of(mart, split)
    texts = joined([mart[name] for name in reads])
    first = _before_others(sides, split)
    repeated = _repeated(texts, mart["text_key"], first)
    left_out = repeated | (kept_apart := apart(mart, split, sides) & ~repeated)
    if similar is not None:
        left = first[~left_out[first]]
        left_out[left[much_alike(texts.take(pa.array(left)), similar)]] = True
    unusual = _unusual(mart[TEXT], left_out, length)
    rows = mart.select([name for name in mart.column_names if name in (*_KEPT, *columns)])
    others = mart.select([name for name in mart.column_names if name not in rows.column_names])
    taken = {name: np.flatnonzero((sides == number) & ~left_out) for number, name in enumerate(SPLITS)}
    dealt, again, between = len(taken["train"]), int(repeated.sum()), int(kept_apart.sum())
    taken["train"] = taken["train"][~unusual[taken["train"]]]
    return Assembled(
        {name: rows.take(pa.array(taken[name], pa.int64())) for name in SPLITS},
        duplicates=again,
        similar=int(left_out.sum()) - again - between,
        unusual=dealt - len(taken["train"]),
        apart=between,
        aside={name: others.take(pa.array(taken[name], pa.int64())) for name in SPLITS},
    )


def _before_others(sides: Sides, split: Split) -> NDArray[np.int64]:
    """The numbers of the rows in the order in which one stays before another that is alike, int64 [rows].

    The earliest first; where a text may be on several sides, those that judge before those they judge.
    """
    if split.by == "hash" and split.group is None:
        return np.arange(len(sides))
    return np.argsort(-sides, kind="stable")


def _repeated(
    texts: pa.ChunkedArray | pa.Array, keys: pa.ChunkedArray, first: NDArray[np.int64]
) -> NDArray[np.bool_]:
    if (first[:-1] < first[1:]).all():
        return repeats(texts, keys)
    found = np.zeros(len(first), dtype=np.bool_)
    places = pa.array(first)
    found[first] = repeats(texts.take(places), keys.take(places))
    return found


def _unusual(
    texts: pa.ChunkedArray, left_out: NDArray[np.bool_], length: TextLength | None
) -> NDArray[np.bool_]:
    """Which of `texts` are unusually long or short among those that are not `left_out`."""
    found = np.zeros(len(left_out), dtype=np.bool_)
    if length is not None and length.outliers is not None:
        found[~left_out] = outliers(lengths(texts, length.unit)[~left_out], length.outliers)
    return found
