"""Rows that wait on the local disk until their counts are proved: written once, read in the same order.

The file has no name (it is unlinked when it is made), so that two attempts never share one and a killed
process leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from pyarrow import ipc

BATCH_ROWS = 16_384
BATCH_BYTES = 8 << 20


class Spool:
    """Record batches in a file in `folder`; `append` them all, then take `batches()`, as often as you like.

    They are not compressed: that would cost more than all else that is done with a row but its Parquet.
    """

    def __init__(self, schema: pa.Schema, folder: Path) -> None:
        self.rows = 0
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (the spool is a context manager itself)
        self._writer = ipc.new_stream(pa.PythonFile(self._file, "w"), schema)

    def append(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches, one after the other; nothing can be appended afterwards."""
        self._writer.close()
        self._file.seek(0)
        with ipc.open_stream(pa.PythonFile(self._file, "r")) as reader:
            yield from reader

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def gathered(
    batches: Iterable[pa.RecordBatch], most_rows: int = BATCH_ROWS, most_bytes: int = BATCH_BYTES
) -> Iterator[pa.RecordBatch]:
    """The rows of `batches` in batches of so many rows or bytes, about; one that has them stays as it is."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= most_rows or size >= most_bytes:
            yield _together(held)
            held, rows, size = [], 0, 0
    if held:
        yield _together(held)


def _together(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    return held[0] if len(held) == 1 else pa.concat_batches(held)
