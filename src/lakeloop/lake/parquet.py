"""Rows to Parquet files beside a table's log; no reader sees them until a commit names them.

delta-rs's own writer takes a stream as fast as it comes and keeps what is not yet encoded and written: its
memory grew by 130 to 190 MB a million rows of 315 bytes. The memory needed here is that of one row group.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from lakeloop.errors import DataError

ROW_GROUP_BYTES = 32 << 20
"""Bytes of a row group in memory; a row that is longer has a group of its own."""
FILE_BYTES = 128 << 20
"""Bytes of a file as written; it is closed after the row group that reaches this size."""


_SAMPLE_ROWS = 4096


@dataclass(frozen=True)
class DataFile:
    """A file that no commit names yet."""

    path: str
    """Below the folder of its table."""
    size: int
    rows: int
    partition: Mapping[str, str]
    """The values of the partition columns, which are not in the file."""


def write_files(
    filesystem: pafs.FileSystem, batches: Iterable[pa.RecordBatch], partition_columns: Sequence[str]
) -> list[DataFile]:
    """Write `batches` below the root of `filesystem`, and return the files: an empty list for no row.

    Args:
        filesystem: its root is the table's folder.
        batches: with all columns of the table. An error of their iteration is passed on; no file is left.
        partition_columns: of the table, strings; each partition is written to files of its own, at the
            cost of a row group in memory for each.

    Raises:
        DataError: a partition column has no value.
    """
    files: list[DataFile] = []
    writers: dict[tuple[str, ...], _PartitionWriter] = {}
    try:
        for batch in batches:
            for values, rows in _by_partition(batch, partition_columns):
                if values not in writers:
                    partition = dict(zip(partition_columns, values, strict=True))
                    writers[values] = _PartitionWriter(filesystem, partition, files)
                writers[values].write(rows)
        for writer in writers.values():
            writer.close()
    except BaseException:
        for writer in writers.values():
            writer.abandon()
        for file in files:
            filesystem.delete_file(file.path)
        raise
    return files


class _PartitionWriter:
    """Rows of one partition to row groups, row groups to files; closed files are added to `files`."""

    def __init__(
        self, filesystem: pafs.FileSystem, partition: Mapping[str, str], files: list[DataFile]
    ) -> None:
        self._filesystem = filesystem
        self._partition = partition
        self._files = files
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._open: _OpenFile | None = None

    def write(self, rows: pa.RecordBatch) -> None:
        self._held.append(rows.drop_columns(list(self._partition)))
        self._held_bytes += self._held[-1].nbytes
        if self._held_bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        if self._held:
            self._write_group()
        self._close_file()

    def abandon(self) -> None:
        """Close without writing what is held."""
        self._held = []
        self._close_file()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held)
        self._held, self._held_bytes = [], 0
        if self._open is None:
            folder = "/".join(f"{name}={_plain(value)}" for name, value in self._partition.items())
            self._filesystem.create_dir(folder, recursive=True)
            path = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
            self._open = _OpenFile(self._filesystem, path, group)
        if self._open.write(group) >= FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._open:
            closing, self._open = self._open, None
            self._files.append(DataFile(closing.path, closing.close(), closing.rows, self._partition))


class _OpenFile:
    def __init__(self, filesystem: pafs.FileSystem, path: str, first: pa.Table) -> None:
        """`first` are rows that the file will hold, for what they tell about others."""
        self.path = path
        self.rows = 0
        self._sink = filesystem.open_output_stream(path)
        # Statistics of texts are of no use to a reader, and would copy the beginnings of texts.
        self._writer = pq.ParquetWriter(
            self._sink,
            first.schema,
            compression="zstd",
            compression_level=1,
            write_statistics=False,
            use_dictionary=_repetitive(first),
        )

    def write(self, group: pa.Table) -> int:
        """Write one row group; returns the bytes of the file so far."""
        self._writer.write_table(group, row_group_size=group.num_rows)
        self.rows += group.num_rows
        return int(self._sink.tell())

    def close(self) -> int:
        """End the file; returns its bytes."""
        self._writer.close()
        size = int(self._sink.tell())
        self._sink.close()
        return size


def _repetitive(rows: pa.Table) -> list[str]:
    """Columns whose values come again and again: a dictionary of the others would be given up, at a cost."""
    sample = rows.slice(0, _SAMPLE_ROWS)
    few = max(sample.num_rows // 4, 1)
    return [name for name in sample.column_names if pc.count_distinct(sample[name]).as_py() <= few]


def _by_partition(
    batch: pa.RecordBatch, columns: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], pa.RecordBatch]]:
    """The rows of each partition in `batch`, with the values of its partition columns."""
    keys = pa.Table.from_batches([batch.select(columns)]).group_by(columns).aggregate([]).to_pylist()
    for key in keys:
        if None in key.values():
            raise DataError("a row without a partition", expected=" and ".join(columns), found=str(key))
        same = [pc.equal(batch[name], value) for name, value in key.items()]
        yield (
            tuple(key[name] for name in columns),
            batch if len(keys) == 1 else batch.filter(reduce(pc.and_, same)),
        )


def _plain(value: str) -> str:
    """`value` as the name of a folder; the partition of the rows is what the table's log says."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", value)
