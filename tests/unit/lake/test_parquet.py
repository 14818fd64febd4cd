"""The files that a replace writes: in row groups of bounded size, whole or gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from lakeloop.errors import DataError
from lakeloop.lake import parquet as parquet_module
from lakeloop.lake.parquet import DataFile, write_files

DAY = "2026-11-16"
SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string()), ("partition", pa.string())])


def batch(first: int, rows: int, length: int = 10, day: str = DAY) -> pa.RecordBatch:
    return pa.record_batch(
        [list(range(first, first + rows)), ["x" * length] * rows, [day] * rows], schema=SCHEMA
    )


def write(folder: Path, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
    return write_files(SubTreeFileSystem(str(folder), LocalFileSystem()), batches, ["partition"])


def test_the_rows_are_in_the_files_in_their_order_without_the_partition(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [batch(0, 3), batch(3, 0), batch(3, 2)])
    assert file.path.startswith("partition=2026-11-16/part-")
    assert file.partition == {"partition": DAY}
    assert (file.rows, file.size) == (5, (tmp_path / file.path).stat().st_size)
    table = pq.ParquetFile(tmp_path / file.path).read()
    assert table.schema.equals(SCHEMA.remove(2))
    assert table["n"].to_pylist() == [0, 1, 2, 3, 4]


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    assert write(tmp_path, [batch(0, 0)]) == []
    assert list(tmp_path.iterdir()) == []


def test_long_rows_make_short_row_groups_and_large_files_are_followed_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_module, "ROW_GROUP_BYTES", 1000)
    monkeypatch.setattr(parquet_module, "FILE_BYTES", 1)
    files = write(tmp_path, [batch(0, 1, 2000), *(batch(n, 1, 500) for n in range(1, 5))])
    assert [file.rows for file in files] == [1, 2, 2]
    assert [pq.ParquetFile(tmp_path / file.path).num_row_groups for file in files] == [1, 1, 1]


def test_no_text_is_copied_into_statistics(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [batch(0, 3)])
    assert not pq.ParquetFile(tmp_path / file.path).metadata.row_group(0).column(1).is_stats_set


def test_a_stream_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_module, "ROW_GROUP_BYTES", 1)
    monkeypatch.setattr(parquet_module, "FILE_BYTES", 100)

    def failing() -> Iterator[pa.RecordBatch]:
        yield batch(0, 3)
        yield batch(3, 3)
        yield batch(6, 3)
        assert len(list(tmp_path.rglob("*.parquet"))) >= 2
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write(tmp_path, failing())
    assert list(tmp_path.rglob("*.parquet")) == []


def test_a_value_that_is_no_name_of_a_folder_stays_below_the_table(tmp_path: Path) -> None:
    (file,) = write(tmp_path, [batch(0, 1, day="a:b#1")])
    assert file.path.startswith("partition=a_b_1/part-")
    assert file.partition == {"partition": "a:b#1"}


def test_each_partition_has_files_of_its_own(tmp_path: Path) -> None:
    mixed = pa.concat_batches([batch(0, 2, day="a"), batch(2, 1, day="b"), batch(3, 1, day="a")])
    files = write(tmp_path, [mixed, batch(4, 2, day="b")])
    found = {file.partition["partition"]: pq.ParquetFile(tmp_path / file.path).read() for file in files}
    assert {day: table["n"].to_pylist() for day, table in found.items()} == {"a": [0, 1, 3], "b": [2, 4, 5]}


def test_a_row_without_a_partition_is_refused(tmp_path: Path) -> None:
    lacking = pa.record_batch([[1, 2], ["a", "b"], [DAY, None]], schema=SCHEMA)
    with pytest.raises(DataError, match="without a partition"):
        write(tmp_path, [batch(0, 1), lacking])
    assert list(tmp_path.rglob("*.parquet")) == []
