"""What a piece is made of, as one sha256: equal records in equal places, however they came in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class PieceDigest:
    """Rows and rejected records that come one batch after the other; memory is a few hashes a column."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[hashlib._Hash, ...]] = {}
        self._rejects = hashlib.sha256()
        self._files: list[tuple[str, int]] = []
        """A file, and how many rows of it came together."""

    def rows(self, file: str, batch: pa.RecordBatch) -> None:
        """Add rows of one file."""
        if self._files and self._files[-1][0] == file:
            self._files[-1] = (file, self._files[-1][1] + batch.num_rows)
        else:
            self._files.append((file, batch.num_rows))
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            parts = list(_parts(column))
            hashes = self._columns.setdefault(name, tuple(hashlib.sha256() for _ in parts))
            for digest, part in zip(hashes, parts, strict=True):
                digest.update(part)

    def reject(self, line: bytes) -> None:
        """Add a rejected record, as a line of JSON."""
        self._rejects.update(line)

    def hexdigest(self) -> str:
        """64 hex characters."""
        whole = hashlib.sha256()
        for name in sorted(self._columns):
            digests = " ".join(digest.hexdigest() for digest in self._columns[name])
            whole.update(f"{len(name)}:{name} {digests}\n".encode())
        for file, rows in self._files:
            whole.update(f"{len(file)}:{file} {rows}\n".encode())
        whole.update(self._rejects.digest())
        return whole.hexdigest()


def _parts(column: pa.Array) -> Iterator[memoryview | bytes]:
    """The values of a column as bytes: which are null; of text the lengths; the values in a row."""
    valid = column.is_valid()
    yield _bytes_of(valid)
    kind = column.type
    if pa.types.is_string(kind):
        text = pc.fill_null(column, "")
        yield _bytes_of(pc.binary_length(text))
        _, offsets, data = text.buffers()
        ends = np.frombuffer(offsets, np.int32)[text.offset : text.offset + len(text) + 1]
        yield memoryview(data)[ends[0] : ends[-1]] if data and len(ends) else b""
    elif pa.types.is_boolean(kind):
        yield _bytes_of(pc.fill_null(column, False))
    else:
        whole = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        yield _bytes_of(pc.fill_null(column.view(whole), 0))


def _bytes_of(column: pa.Array) -> bytes:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return bytes(column.to_numpy(zero_copy_only=False).tobytes())
