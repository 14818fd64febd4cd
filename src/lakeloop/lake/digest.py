"""Hashes of rows and of tables that depend on the values only.

Not on the order of the rows or columns, on files, batches or dictionary encoding, nor on when and by whom
they were written: the same rows always have the same digest, which is how a re-run proves that it changed
nothing. Digests of files are in `lakeloop.durable`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

_BATCH_ROWS = 16_384  # bounds the memory for the text form of the rows


def content_digest(rows: pa.Table | Iterable[pa.RecordBatch], columns: Sequence[str] | None = None) -> str:
    """sha256 (64 hex characters) over the sorted hashes of the rows.

    `rows` may be a stream of batches with one schema; 32 bytes a row are kept. `columns` (default: all of
    the first batch) must have no nested types. An empty table and an empty stream have the same digest.
    """
    batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
    hashes: list[bytes] = []
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            hashes += row_hashes(batch.slice(start, _BATCH_ROWS), columns)
    hashes.sort()
    digest = hashlib.sha256()
    for value in hashes:
        digest.update(value)
    return digest.hexdigest()


def row_hashes(batch: pa.RecordBatch, columns: Sequence[str] | None = None) -> list[bytes]:
    """sha256 (32 bytes) of each row of `batch` over `columns` (default: all), in the order of the rows."""
    parts: list[pa.Array | pa.Scalar] = []
    for name in sorted(columns if columns is not None else batch.schema.names):
        parts += _length_prefixed(name, batch.column(name))
    if not parts or batch.num_rows == 0:
        return []
    lines = pc.binary_join_element_wise(*parts, _large(""))
    return [hashlib.sha256(line).digest() for line in lines.cast(pa.large_binary()).to_pylist()]


def _length_prefixed(name: str, column: pa.Array) -> list[pa.Array | pa.Scalar]:
    """`name=<bytes>:<value>` or `name=-` for null: no value can be mistaken for a border between two."""
    text = _as_text(column)
    length = pc.binary_length(text).cast(pa.large_string())
    known = pc.binary_join_element_wise(length, _large(":"), _large(""))
    prefix = pc.if_else(pc.is_valid(text), known, _large("-"))
    return [_large(f"{len(name)}:{name}="), prefix, pc.fill_null(text, _large(""))]


def _as_text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_nested(kind):
        raise TypeError(f"no digest of a column of type {kind}")
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
    elif pa.types.is_date(kind):
        column = column.cast(pa.date32()).cast(pa.int32())
    elif pa.types.is_floating(kind):
        # The bits, not a decimal form: two versions of Arrow may print a number differently.
        column = column.cast(pa.float64()).view(pa.int64())
    return column.cast(pa.large_string())


def _large(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())
