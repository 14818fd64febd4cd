"""Columns of the source beside rows of the mart: from raw, which has what no model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakeloop.evaluation.slices import group

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.lake.store import Lake
    from lakeloop.spec.loop import LoopSpec

_LINE = ("source_file", "source_line")


def with_groups(rows: pa.Table, lake: Lake, loop: LoopSpec) -> pa.Table:
    """`rows` of a data set with a column for each of `evaluate.slices`, null where raw does not have it."""
    for name, values in from_raw(rows, lake, loop, loop.evaluate.slices).items():
        rows = rows.append_column(group(name), values)
    return rows


def from_raw(rows: pa.Table, lake: Lake, loop: LoopSpec, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Declared column of the source -> its value for each of `rows`, null where raw does not have the row.

    `rows` are of the mart: their key and day are enough.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from lakeloop.lake.tables import ARROW_TYPES

    if not names:
        return {}
    days = rows["partition"]
    parts, places = [], []
    for day in sorted(days.unique().to_pylist()):
        at = np.flatnonzero(pc.equal(days, day).to_numpy())
        of_day = _of_day(lake, loop, day, names)
        keys = rows["row_id"].take(pa.array(at)).cast(pa.large_string())
        found = pc.index_in(keys, value_set=of_day["key"].combine_chunks())
        parts.append(of_day.select(list(names)).take(found))
        places.append(at)
    types = loop.source.types
    schema = pa.schema([(name, ARROW_TYPES[types[name]]) for name in names])
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    back = np.argsort(np.concatenate(places), kind="stable") if places else np.zeros(0, np.int64)
    return {name: table[name].take(pa.array(back)) for name in names}


def _of_day(lake: Lake, loop: LoopSpec, day: str, names: Sequence[str]) -> pa.Table:
    """The columns `names` of the day's rows in raw, and `key`: what the mart calls them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from lakeloop.lake.tables import ARROW_TYPES

    source = loop.source
    key = (source.key_column.stored if source.key_column else "row_hash",)
    asked = {name: source.stored(name) for name in names}
    keys = _LINE if source.key_from == "line" else key
    there = lake.columns("raw").names
    needed = [name for name in dict.fromkeys((*keys, *asked.values())) if name in there]
    rows = lake.read("raw", columns=needed, partition=day)
    words = [rows[name].cast(pa.large_string()) for name in keys]
    named = words[0] if len(words) == 1 else pc.binary_join_element_wise(*words, ":")
    columns = {}
    for name, stored in asked.items():
        wanted = ARROW_TYPES[source.types[name]]
        columns[name] = rows[stored].cast(wanted) if stored in there else pa.nulls(rows.num_rows, wanted)
    return pa.table({**columns, "key": named})
