"""Parquet files, read some megabytes at a time; `source_line` is the number of the row, from 1.

What becomes of the values is in `arrow_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from lakeloop.errors import DataError
from lakeloop.sources.base import Block
from lakeloop.sources.formats.arrow_rows import ArrowRows
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.quoting import plain

_BATCH_ROWS = 16_384
_BATCH_BYTES = 16 << 20
_BUFFER_BYTES = 1 << 20
"""Of each column; without a buffer, all of a column that is in a row group is read at once."""


def read_parquet(file: BinaryIO, where: str, source: SourceBase) -> Iterator[Block]:
    """The rows of a Parquet file that can be read from any place.

    Raises:
        DataError: it is no such file, or a damaged one; a name is there twice, or the key is not there.
    """
    try:
        opened = pq.ParquetFile(pa.PythonFile(file, mode="r"), buffer_size=_BUFFER_BYTES)
        rows = ArrowRows(opened.schema_arrow, where, source)
        first = 1
        for batch in opened.iter_batches(batch_size=_batch_rows(opened.metadata), use_threads=False):
            yield rows.block(batch, first)
            first += batch.num_rows
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise DataError(
            "not a Parquet file, or a damaged one",
            where=where,
            expected="a whole Parquet file",
            found=plain(str(error), 200),
            remedy="nothing was published; put the whole file there again",
        ) from error


def _batch_rows(metadata: Any) -> int:
    size: int = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    rows: int = metadata.num_rows
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(size, 1)))
