"""Rows to Parquet files beside a table's log; no reader sees them until a commit names them.

delta-rs's own writer takes a stream as fast as it comes and keeps what is not yet encoded and written: its
memory grew by 130 to 190 MB a million rows of 315 bytes. The memory needed here is that of one row group.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
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
_READ_ROWS = 16_384


@dataclass(frozen=True)
class DataFile:
    """A file that no commit names yet."""

    path: str
    """Below the folder of its table."""
    size: int
    rows: int
    """As the end of the file says."""
    partition: Mapping[str, str]
    """The values of the partition columns, which are not in the file."""


class FilesWriter:
    """Rows to files below the root of `filesystem`, which is the folder of a table.

    Each partition has files of its own, at the cost of a row group in memory for each.

    Args:
        filesystem: its root is the table's folder.
        partition_columns: of the table, strings.
        same: columns of these that have one value in all rows; they may be left out of the rows.
    """

    def __init__(
        self, filesystem: pafs.FileSystem, partition_columns: Sequence[str], same: Mapping[str, str]
    ) -> None:
        self._filesystem = filesystem
        self._partition = {name: same.get(name, "") for name in partition_columns}
        self._differing = [name for name in partition_columns if name not in same]
        self._files: list[DataFile] = []
        self._writers: dict[tuple[str, ...], _PartitionWriter] = {}

    def write(self, batch: pa.RecordBatch) -> None:
        """Write rows with all columns of the table.

        Raises:
            DataError: a partition column has no value.
        """
        if not batch.num_rows:
            return
        for values, rows in _by_partition(batch, self._differing):
            if values not in self._writers:
                partition = {**self._partition, **dict(zip(self._differing, values, strict=True))}
                self._writers[values] = _PartitionWriter(self._filesystem, partition, self._files)
            self._writers[values].write(rows)

    def close(self) -> list[DataFile]:
        """End the files and return all that were written so far, none for no row; rows may still follow."""
        for writer in self._writers.values():
            writer.close()
        return list(self._files)

    def abandon(self) -> None:
        """Delete all that was written."""
        for writer in self._writers.values():
            writer.abandon()
        for file in self._files:
            self._filesystem.delete_file(file.path)
        self._files.clear()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows written so far in their order, without the partition columns: read from the files."""
        for file in self.close():
            with self._filesystem.open_input_file(file.path) as opened:
                # No thread of Arrow's may still read through a file system of Python when the process ends.
                yield from pq.ParquetFile(opened, pre_buffer=False).iter_batches(
                    _READ_ROWS, use_threads=False
                )

    def damaged(self) -> list[str]:
        """The files that are not there any more as they were written, by their sizes."""
        found = self._filesystem.get_file_info([file.path for file in self._files])
        return [file.path for file, there in zip(self._files, found, strict=True) if there.size != file.size]


def write_files(
    filesystem: pafs.FileSystem, batches: Iterable[pa.RecordBatch], partition_columns: Sequence[str]
) -> list[DataFile]:
    """Write `batches` as `FilesWriter` does, and return the files: an empty list for no row.

    An error of the iteration of `batches` is passed on; no file is left then.

    Raises:
        DataError: a partition column has no value.
    """
    writer = FilesWriter(filesystem, partition_columns, {})
    try:
        for batch in batches:
            writer.write(batch)
        return writer.close()
    except BaseException:
        writer.abandon()
        raise


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
        self._held.append(rows.drop_columns([name for name in self._partition if name in rows.schema.names]))
        self._held_bytes += self._held[-1].nbytes
        if self._held_bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def close(self) -> None:
        if self._held:
            self._write_group()
        self._close_file()

    def abandon(self) -> None:
        """Delete the file that is being written, and forget what is held."""
        self._held = []
        if self._open:
            abandoned, self._open = self._open, None
            abandoned.abandon()
            self._filesystem.delete_file(abandoned.path)

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held)
        self._held, self._held_bytes = [], 0
        if self._open is None:
            folder = "/".join(f"{name}={_plain(value)}" for name, value in self._partition.items())
            if _has_folders(self._filesystem):
                self._filesystem.create_dir(folder, recursive=True)
            path = f"{folder}/part-{uuid.uuid4()}.zstd.parquet"
            self._open = _OpenFile(self._filesystem, path, group)
        if self._open.write(group) >= FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._open:
            closing, self._open = self._open, None
            size, rows = closing.close()
            self._files.append(DataFile(closing.path, size, rows, self._partition))


class _OpenFile:
    def __init__(self, filesystem: pafs.FileSystem, path: str, first: pa.Table) -> None:
        """`first` are rows that the file will hold, for what they tell about others."""
        self.path = path
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
        return int(self._sink.tell())

    def abandon(self) -> None:
        """End the file, whether or not what was written can be kept: its disk may be full."""
        for part in (self._writer, self._sink):
            with suppress(OSError, pa.ArrowException):
                part.close()

    def close(self) -> tuple[int, int]:
        """End the file; returns its bytes and rows."""
        self._writer.close()
        size = int(self._sink.tell())
        self._sink.close()
        return size, int(self._writer.writer.metadata.num_rows)


def _has_folders(filesystem: pafs.FileSystem) -> bool:
    """In an object store a folder would be an object of its own, which nothing needs."""
    if isinstance(filesystem, pafs.SubTreeFileSystem):
        filesystem = filesystem.base_fs
    return not isinstance(filesystem, pafs.S3FileSystem)


def _repetitive(rows: pa.Table) -> list[str]:
    """Columns whose values come again and again: a dictionary of the others would be given up, at a cost."""
    sample = rows.slice(0, _SAMPLE_ROWS)
    few = max(sample.num_rows // 4, 1)
    return [name for name in sample.column_names if pc.count_distinct(sample[name]).as_py() <= few]


def _by_partition(
    batch: pa.RecordBatch, columns: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], pa.RecordBatch]]:
    """The rows of each partition in `batch`, with the values of `columns`."""
    if not columns:
        yield (), batch
        return
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
