"""A row that `validate` refuses is kept whole: as it stands in the delivery, where that is still there.

The delivery must be the one that ingest read (its identity says so). Where it is another one by now, or gone,
or has no text to go back to (a table, Parquet), the row is kept as ingest read it, typed: `raw_form` says
which.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lakeloop.errors import LakeloopError
from lakeloop.records import StageRecord
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

log = logging.getLogger(__name__)

_BATCH_CHARACTERS = 8 << 20
"""Of records that are held before they go into the database."""


def keep_whole(context: StageContext, ingested: StageRecord, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `REJECTED` of the bad rows in `connection`, each kept as it was delivered.

    Memory is that of the numbers of their lines and of some records.

    Args:
        context: of the stage.
        ingested: what ingest recorded of the day.
        connection: where the rows were judged.

    Raises:
        FenceError: raw, which is not under the fence of this stage, holds other rows than ingest recorded.
    """
    from lakeloop.quality import rows
    from lakeloop.scratch.duckdb import count

    version = context.lake.version("raw")
    context.require_as_recorded("raw", ingested, version)

    def raw(columns: list[str] | None = None) -> pa.RecordBatchReader:
        return context.lake.scan("raw", version=version, columns=columns, partition=ingested.partition)

    rows.reject(connection, context.loop, raw(["source_file", "source_line"]))
    rows.mark_readmitted(connection, _corrected(context, ingested, raw()))
    keep_as_delivered(context, ingested, connection)
    if count(connection, f"{rows.REJECTED} where raw_form = 'row'"):
        rows.put_values(connection, context.loop, raw())


def _corrected(
    context: StageContext, ingested: StageRecord, raw: pa.RecordBatchReader
) -> Iterator[tuple[str, int]]:
    """File and line of each row of `raw` that is what a correction made of its record."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from lakeloop.lake.corrections import corrections_of
    from lakeloop.sources.corrected import fields_of

    mended: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for one in corrections_of(context.lake, ingested.partition):
        if one.record is not None:
            mended[one.source_file, one.source_line].append(one.fields)
    lines = pa.array(sorted({line for _, line in mended}), pa.int64())
    for batch in raw if mended else ():
        for row in batch.filter(pc.is_in(batch["source_line"], value_set=lines)).to_pylist():
            spot = row["source_file"], row["source_line"]
            now = fields_of(row, context.loop.source)
            if any(made == {name: now.get(name) for name in made} for made in mended.get(spot, ())):
                yield spot


def keep_as_delivered(
    context: StageContext, ingested: StageRecord, connection: duckdb.DuckDBPyConnection
) -> None:
    """Give each row of `REJECTED` whose `raw_form` is `row` the record as it stands in the delivery.

    They stay as they are when the delivery is not there as it was, or is not of text.
    """
    from lakeloop.quality.rows import put_records

    if not (wanted := _wanted(connection)):
        return
    # All or none: only behind the last record it is known that the delivery is the one that was ingested.
    connection.begin()
    try:
        put_records(connection, _records(context, ingested, wanted))
    except (LakeloopError, OSError) as error:
        connection.rollback()
        log.warning(
            "bad rows of %s are kept typed, the drop cannot be read again: %s", ingested.partition, error
        )
    else:
        connection.commit()


def _wanted(connection: duckdb.DuckDBPyConnection) -> Mapping[str, set[int]]:
    """File -> lines, as rows refer to them."""
    from lakeloop.quality.rows import typed_places

    wanted: dict[str, set[int]] = defaultdict(set)
    for batch in typed_places(connection):
        files, lines = batch["source_file"].to_pylist(), batch["source_line"].to_pylist()
        for file, line in zip(files, lines, strict=True):
            wanted[file].add(line)
    return wanted


def _records(
    context: StageContext, ingested: StageRecord, wanted: Mapping[str, set[int]]
) -> Iterator[pa.RecordBatch]:
    """The records of these lines, with the columns of `put_records`; nothing of a delivery that is gone.

    Raises:
        LakeloopError, OSError: the delivery cannot be read, or changed meanwhile.
    """
    import pyarrow as pa

    from lakeloop.quality.rows import RECORDS
    from lakeloop.sources.base import Rereadable, found_again
    from lakeloop.sources.registry import open_source

    source = open_source(context.loop, context.settings)
    delivery = found_again(source, ingested.partition, ingested.inputs["drop"])
    if delivery is None:
        log.info("the drop of %s is not there as it was: bad rows are kept typed", ingested.partition)
        return
    if not isinstance(delivery, Rereadable):
        return
    held: list[tuple[str, int, int, str]] = []
    characters = 0
    for file, record in delivery.records_at(wanted):
        held.append((file, record.line, record.byte_offset, record.raw))
        characters += len(record.raw)
        if characters >= _BATCH_CHARACTERS:
            yield pa.record_batch(list(zip(*held, strict=True)), RECORDS)
            held, characters = [], 0
    if held:
        yield pa.record_batch(list(zip(*held, strict=True)), RECORDS)
    delivery.require_unchanged()
