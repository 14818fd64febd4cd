"""The columns of `evaluate.slices` beside the test rows: from raw, which has what no model reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeloop.evaluation.slices import group

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.lake.store import Lake
    from lakeloop.spec.loop import LoopSpec


def with_groups(rows: pa.Table, lake: Lake, loop: LoopSpec) -> pa.Table:
    """`rows` of a data set with a column for each of `evaluate.slices`, null where raw does not have it."""
    import pyarrow as pa

    names = loop.evaluate.slices
    if not names:
        return rows
    keys, days = rows["row_id"].to_pylist(), rows["partition"].to_pylist()
    known: dict[tuple[str, str], tuple[Any, ...]] = {}
    for day in sorted(set(days)):
        wanted = {key for key, of in zip(keys, days, strict=True) if of == day}
        known |= {(day, key): values for key, values in _of_day(lake, loop, day) if key in wanted}
    for place, name in enumerate(names):
        found = [known[row][place] if row in known else None for row in zip(days, keys, strict=True)]
        rows = rows.append_column(group(name), pa.array(found))
    return rows


def _of_day(lake: Lake, loop: LoopSpec, day: str) -> list[tuple[str, tuple[Any, ...]]]:
    source = loop.source
    asked = [source.stored(name) for name in loop.evaluate.slices]
    key = source.key_column.stored if source.key_column else "row_hash"
    by_line = source.key_from == "line"
    needed = dict.fromkeys([*(("source_file", "source_line") if by_line else (key,)), *asked])
    there = lake.columns("raw").names
    table = lake.read("raw", columns=[name for name in needed if name in there], partition=day)
    columns = {n: table[n].to_pylist() if n in there else [None] * table.num_rows for n in needed}
    if by_line:
        places = zip(columns["source_file"], columns["source_line"], strict=True)
        names = [f"{file}:{line}" for file, line in places]
    else:
        names = [str(value) for value in columns[key]]
    return list(zip(names, zip(*(columns[name] for name in asked), strict=True), strict=True))
