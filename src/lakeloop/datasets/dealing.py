"""Which side of the split each row falls on. Pure: a table in, a side for each row out.

By hash a row's side depends on its group or text, and the salt, on nothing else. By time it depends on its
day and on the newest day there is: a day that comes late, or comes again, moves no row of another day. A
newer day moves the test days on: rows go from test to training then, and never back.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakeloop.spec.split import Split

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)
GROUP = "lakeloop_group"
"""Column with the values of `split.group`, where there is one: words, null where a row has none."""

Sides = NDArray[np.int8]
"""Of each row the number of its side in `SPLITS`."""


def deal(text_key: str, split: Split) -> SplitName:
    """The split, by hash, of the texts with this key."""
    share = _share(text_key, split)
    if share < split.test:
        return "test"
    return "validation" if share < split.test + split.validation else "train"


def sides_of(rows: pa.Table, split: Split) -> Sides:
    """The side of each of `rows`, which have `text_key`, `partition` and, where rows are grouped, `GROUP`."""
    keys = rows["text_key"].to_pylist()
    if split.group is not None:
        groups = rows[GROUP].to_pylist()
        # A text cannot be taken for a group that is called like its key.
        keys = [key if of is None else f"group\0{of}" for key, of in zip(keys, groups, strict=True)]
    if split.by == "hash":
        dealt = (SPLITS.index(deal(key, split)) for key in keys)
        return np.fromiter(dealt, np.int8, len(keys))
    if not keys:
        return np.zeros(0, np.int8)
    days = rows["partition"].to_pylist()
    first = split.first_test_day(set(days))
    return np.fromiter(
        (
            SPLITS.index("test" if day >= first else _before(key, split))
            for day, key in zip(days, keys, strict=True)
        ),
        np.int8,
        len(keys),
    )


def apart(rows: pa.Table, split: Split, sides: Sides) -> NDArray[np.bool_]:
    """Whether a row is in the way of those that judge, bool [rows].

    It is where a text of its key, or a row of its group, is on a side that judges it: test rows judge all,
    validation rows those of the training. The test stays as it is, whatever rows come before it.
    """
    found = np.zeros(len(sides), dtype=np.bool_)
    if split.by == "hash" and split.group is None:
        return found
    columns = [rows["text_key"], *([rows[GROUP]] if split.group is not None else [])]
    for judging, judged in (("test", ("validation", "train")), ("validation", ("train",))):
        judges = sides == SPLITS.index(judging)
        others = np.isin(sides, [SPLITS.index(name) for name in judged])
        for column in columns:
            values = pc.drop_null(column.filter(pa.array(judges))).unique()
            there = pc.fill_null(pc.is_in(column, value_set=values, skip_nulls=True), False)
            found |= others & np.asarray(there.to_numpy(), dtype=np.bool_)
    return found


def _before(key: str, split: Split) -> SplitName:
    """By time: the side of a row of the days before the test days."""
    return "validation" if _share(key, split) < split.validation else "train"


def _share(key: str, split: Split) -> float:
    digest = hashlib.sha256(f"{split.salt}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
