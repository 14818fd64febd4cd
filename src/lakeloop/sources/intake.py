"""One drop to the rows of `raw` and `quarantine`, with counts that add up. Publishing is the stage's.

The rows of one day are held in memory; the file is not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from lakeloop.errors import TransientError
from lakeloop.lake.digest import row_hashes
from lakeloop.lake.tables import QUARANTINE, raw_schema
from lakeloop.records import Counts
from lakeloop.sources.base import Drop
from lakeloop.sources.lines import LineReader
from lakeloop.sources.rejects import Reject
from lakeloop.spec.models import LoopSpec


@dataclass(frozen=True)
class Intake:
    """A drop, read: the rows of tables `raw` and `quarantine`, and what became of every line."""

    raw: pa.Table
    quarantine: pa.Table
    counts: Counts
    reasons: dict[str, int]
    """Reason code -> quarantined lines, most frequent first."""
    repeated_keys: int
    """Rows whose key was there before in this drop with other content; they are accepted."""


def take_in(drop: Drop, loop: LoopSpec, partition: str) -> Intake:
    """Read a drop. Of rows that are equal in all declared columns the first stays.

    Raises:
        CountsError: a line was lost or doubled.
        DataError: the header is not the declared one.
        TransientError: the file changed while it was read.
    """
    source = loop.source
    reader = LineReader(drop.path, source.columns, key=source.key, file_format=source.format)
    batches: list[pa.RecordBatch] = []
    rejects: list[Reject] = []
    seen: set[bytes] = set()
    duplicates = 0
    for block in reader:
        rows, repeated = _without_duplicates(block.rows, list(source.columns), seen)
        batches.append(rows)
        rejects += block.rejects
        duplicates += repeated
    _require_unchanged(drop, reader.sha256)
    raw = _raw_table(batches, drop, loop, partition)
    quarantine = _quarantine_table(rejects, drop, partition)
    counts = Counts(
        read=reader.lines, accepted=raw.num_rows, quarantined=quarantine.num_rows, duplicates=duplicates
    )
    return Intake(
        raw=raw,
        quarantine=quarantine,
        counts=counts.reconcile(f"{drop.name} of {loop.name}"),
        reasons=dict(Counter(str(reject.reason) for reject in rejects).most_common()),
        repeated_keys=raw.num_rows - len(raw[source.key].unique()),
    )


def _without_duplicates(
    rows: pa.RecordBatch, columns: list[str], seen: set[bytes]
) -> tuple[pa.RecordBatch, int]:
    """`rows` with `row_hash`, without those that were seen; and how many those were."""
    hashes = row_hashes(rows, columns)
    first = []
    for value in hashes:
        first.append(value not in seen)
        seen.add(value)
    hashed = rows.append_column("row_hash", pa.array([value.hex() for value in hashes], pa.string()))
    return (hashed, 0) if all(first) else (hashed.filter(pa.array(first)), first.count(False))


def _raw_table(batches: list[pa.RecordBatch], drop: Drop, loop: LoopSpec, partition: str) -> pa.Table:
    schema = raw_schema(loop)
    if not batches:
        return schema.empty_table()
    table = pa.Table.from_batches(batches)
    for name, value in (("source_file", drop.name), ("partition", partition)):
        table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), table.num_rows))
    return table.select(schema.names)


def _quarantine_table(rejects: list[Reject], drop: Drop, partition: str) -> pa.Table:
    rows = [
        {
            "partition": partition,
            "stage": "ingest",
            "reason": str(reject.reason),
            "detail": reject.detail,
            "column": reject.column,
            "source_file": drop.name,
            "source_line": reject.line,
            "byte_offset": reject.byte_offset,
            "raw": reject.raw,
            "row_key": reject.row_key,
            "readmitted": False,
        }
        for reject in rejects
    ]
    return pa.Table.from_pylist(rows, QUARANTINE)


def _require_unchanged(drop: Drop, digest: str) -> None:
    if digest != drop.digest:
        raise TransientError(
            "the file changed while it was read",
            where=str(drop.path),
            expected=f"sha256 {drop.digest[:12]}",
            found=f"sha256 {digest[:12]}",
            remedy="nothing was published; put files there by renaming, then this runs again",
        )
