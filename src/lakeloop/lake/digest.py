"""Hashes of rows and of tables that depend on the values only.

Not on the order of the rows or columns, on files, batches or dictionary encoding, nor on when and by whom
they were written: the same rows always have the same digest, which is how a re-run proves that it changed
nothing. Digests of files are in `lakeloop.durable`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_BATCH_ROWS = 16_384  # bounds the memory for the text form of the rows
_HASH_BYTES = 32
_RUN_ROWS = 1 << 20
"""Hashes that are held before they go to a temporary file: 32 MiB."""

Hashes = npt.NDArray[np.bytes_]

ADDED = b"lakeloop.added"
"""Metadata of a column that a table was given when it had rows already: null says nothing there, so that rows
that were digested before it came have the digest that they had."""


def content_digest(rows: pa.Table | Iterable[pa.RecordBatch], columns: Sequence[str] | None = None) -> str:
    """sha256 (64 hex characters) over the sorted hashes of the rows.

    `rows` may be a stream of batches with one schema. `columns` (default: all of the first batch) must have
    no nested types. An empty table and an empty stream have the same digest. Memory as for `ContentDigest`.
    """
    digest = ContentDigest(columns)
    for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
        digest.update(batch)
    return digest.hexdigest()


class ContentDigest:
    """The content digest of rows that come one batch after the other.

    A million hashes (32 bytes each) are held at most; further ones lie sorted in a temporary file without a
    name, which goes with the process.
    """

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self._columns = columns
        self._held = bytearray()
        self._runs = _Runs()

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of `batch`. Raises TypeError when it has a column of a nested type."""
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            self._held += b"".join(row_hashes(batch.slice(start, _BATCH_ROWS), self._columns))
            if len(self._held) >= _RUN_ROWS * _HASH_BYTES:
                self._runs.add(_sorted(self._held))
                self._held = bytearray()

    def hexdigest(self) -> str:
        """The content digest (64 hex characters) of all rows so far; nothing can be added afterwards."""
        digest = hashlib.sha256()
        last = _sorted(self._held)
        if not self._runs:
            digest.update(last.data)
            return digest.hexdigest()
        self._runs.add(last)
        for part in self._runs.merged():
            digest.update(part.data)
        return digest.hexdigest()


def count_unknown(
    rows: Iterable[pa.RecordBatch], known: Iterable[pa.RecordBatch], columns: Sequence[str]
) -> int:
    """How many of `rows` have values in `columns` that no row of `known` has.

    Memory: 32 bytes for each row of `known`, and a batch. Raises TypeError as `row_hashes`.
    """
    held = bytearray()
    for batch in _small(known):
        held += b"".join(row_hashes(batch, columns))
    hashes, unknown = _sorted(held), 0
    for batch in _small(rows):
        found = np.array(row_hashes(batch, columns), dtype=hashes.dtype)
        if not len(hashes):
            unknown += len(found)
            continue
        place = np.minimum(np.searchsorted(hashes, found), len(hashes) - 1)
        unknown += int(np.count_nonzero(hashes[place] != found))
    return unknown


def _small(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            yield batch.slice(start, _BATCH_ROWS)


class _Runs:
    """Sorted runs of hashes in a temporary file, read back in the order of all."""

    def __init__(self) -> None:
        self._file: Any = None
        self._borders: list[list[int]] = []
        """For each run: where in the file the hashes begin whose first byte is 0, 1, ... 255, and its end."""

    def __bool__(self) -> bool:
        return bool(self._borders)

    def add(self, run: Hashes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `merged`, or with the process)
        first_bytes = run.view(np.uint8).reshape(-1, _HASH_BYTES)[:, 0]
        starts = np.searchsorted(first_bytes, np.arange(257)) * _HASH_BYTES + self._file.tell()
        self._borders.append(starts.tolist())
        self._file.write(run)

    def merged(self) -> Iterable[Hashes]:
        """All hashes in order, in 256 parts: each part holds those with the same first byte."""
        with self._file as file:
            for byte in range(256):
                part = bytearray()
                for borders in self._borders:
                    file.seek(borders[byte])
                    part += file.read(borders[byte + 1] - borders[byte])
                yield _sorted(part)


def _sorted(hashes: bytearray) -> Hashes:
    """The hashes that `hashes` holds one behind the other, sorted in place."""
    array: Hashes = np.frombuffer(hashes, dtype=f"S{_HASH_BYTES}")
    array.sort()
    return array


def row_hashes(batch: pa.RecordBatch, columns: Sequence[str] | None = None) -> list[bytes]:
    """sha256 (32 bytes) of each row of `batch` over `columns` (default: all), in the order of the rows.

    Raises TypeError when one of the columns is of a nested type.
    """
    parts: list[pa.Array] = []
    for name in sorted(columns if columns is not None else batch.schema.names):
        field = batch.schema.field(name)
        optional = field.metadata is not None and ADDED in field.metadata
        parts += _length_prefixed(name, batch.column(name), optional=optional)
    if not parts or batch.num_rows == 0:
        return []
    return [hashlib.sha256(line).digest() for line in _side_by_side(parts)]


def _side_by_side(parts: Sequence[pa.Array]) -> Iterator[memoryview]:
    """For each row, the values that `parts` (large_binary, without nulls) have there, side by side."""
    rows = len(parts[0])
    places = np.arange(len(parts) * rows).reshape(len(parts), rows).T.ravel()
    # A join by Arrow of as many columns takes three times as long.
    _, borders, content = pa.concat_arrays(parts).take(pa.array(places)).buffers()
    ends = np.frombuffer(borders, np.int64)[: len(places) + 1 : len(parts)].tolist()
    lines = memoryview(content)
    return (lines[start:end] for start, end in pairwise(ends))


def _length_prefixed(name: str, column: pa.Array, *, optional: bool) -> list[pa.Array]:
    """`name=<bytes>:<value>` or `name=-` for null: no value can be mistaken for a border between two.

    Nothing at all for a null that is `optional`.
    """
    text = exact(column).cast(pa.large_string())
    lengths = pc.binary_length(text).dictionary_encode()
    head = f"{len(name)}:{name}="
    heads = [f"{head}{length}:" for length in lengths.dictionary.to_pylist()]
    heads.append("" if optional else f"{head}-")
    places = pc.fill_null(lengths.indices, len(heads) - 1)
    prefixes = pa.array(heads, pa.large_string()).take(places)
    return [each.cast(pa.large_binary()) for each in (prefixes, pc.fill_null(text, ""))]


def exact(column: pa.Array) -> pa.Array:
    """`column` without dictionary; moments, days and floats as whole numbers, all else as it is.

    Raises TypeError when it is of a nested type.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = kind.value_type
    if pa.types.is_nested(kind):
        raise TypeError(f"no digest of a column of type {kind}")
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
    if pa.types.is_date(kind):
        return column.cast(pa.date32()).cast(pa.int32())
    if pa.types.is_floating(kind):
        # The bits, not a decimal form: two versions of Arrow may print a number differently.
        return column.cast(pa.float64()).view(pa.int64())
    return column
