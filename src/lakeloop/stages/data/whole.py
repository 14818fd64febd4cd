"""A row that `validate` refuses is kept whole: as it stands in the delivery, where that is still there.

The delivery must be the one that ingest read (its identity says so). Where it is another one by now, or gone,
or has no text to go back to (a table, Parquet), the row is kept as ingest read it, typed: `raw_form` says
which.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING

from lakeloop.errors import LakeloopError
from lakeloop.records import StageRecord
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""File and line, as rows refer to them."""


def kept_whole(context: StageContext, ingested: StageRecord, bad: pa.Table) -> pa.Table:
    """`bad`, rows for the table `quarantine`, with the record of each that ingest had read from text.

    Args:
        context: of the stage.
        ingested: what ingest recorded of the day.
        bad: rows whose `raw_form` is `row` are looked for by `source_file` and `source_line`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    typed = bad.filter(pc.equal(bad["raw_form"], "row"))
    wanted: dict[str, set[int]] = defaultdict(set)
    for file, line in zip(typed["source_file"].to_pylist(), typed["source_line"].to_pylist(), strict=True):
        wanted[file].add(line)
    found = _records(context, ingested, wanted) if wanted else {}
    if not found:
        return bad
    rows = bad.to_pylist()
    for row in rows:
        record = found.get((row["source_file"], row["source_line"])) if row["raw_form"] == "row" else None
        if record:
            row["byte_offset"], row["raw"] = record
            row["raw_form"] = "line"
    return pa.Table.from_pylist(rows, bad.schema)


def _records(
    context: StageContext, ingested: StageRecord, wanted: dict[str, set[int]]
) -> dict[Place, tuple[int, str]]:
    """Place -> byte offset and text; empty when the delivery is not there as it was."""
    from lakeloop.sources.base import Rereadable, found_again
    from lakeloop.sources.registry import open_source

    try:
        source = open_source(context.loop, context.settings)
        delivery = found_again(source, ingested.partition, ingested.inputs["drop"])
        if delivery is None:
            log.info("the drop of %s is not there as it was: bad rows are kept typed", ingested.partition)
            return {}
        if not isinstance(delivery, Rereadable):
            return {}
        found = {
            (file, record.line): (record.byte_offset, record.raw)
            for file, record in delivery.records_at(wanted)
        }
        delivery.require_unchanged()
    except (LakeloopError, OSError) as error:
        log.warning(
            "bad rows of %s are kept typed, the drop cannot be read again: %s", ingested.partition, error
        )
        return {}
    return found
