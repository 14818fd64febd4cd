from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.scratch.duckdb import fill, open_duckdb, view_files
from lakeloop.scratch.folder import kept_folder


def test_the_folder_has_its_name_after_the_block(tmp_path: Path) -> None:
    with kept_folder(tmp_path, "build") as folder:
        (folder / "file").write_text("first")
        assert not (tmp_path / "build").exists()
    assert (tmp_path / "build/file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


def test_a_failed_attempt_leaves_its_folder_to_be_looked_at(tmp_path: Path) -> None:
    def fail() -> None:
        with kept_folder(tmp_path, "build") as folder:
            (folder / "file").write_text("broken")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (tmp_path / "build/file").read_text() == "broken"


def test_overlapping_attempts_share_nothing_and_the_last_to_end_stays(tmp_path: Path) -> None:
    with kept_folder(tmp_path, "build") as first:
        with kept_folder(tmp_path, "build") as second:
            assert first != second
            (second / "second").touch()
        (first / "first").touch()
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["first"]


def test_what_killed_attempts_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, young = tmp_path / ".build-old", tmp_path / ".build-young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    with kept_folder(tmp_path, "build"):
        assert not old.exists()
        assert young.exists()


def test_connections_are_bounded_and_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_DUCKDB_MEMORY", "64MB")
    with open_duckdb(tmp_path / "a.duckdb") as connection:
        query = "select current_setting('memory_limit'), current_setting('TimeZone')"
        assert connection.execute(query).fetchall() == [("61.0 MiB", "UTC")]


def test_a_stream_of_rows_becomes_a_table(tmp_path: Path) -> None:
    rows = pa.table({"partition": pa.array(["a", "b"]).dictionary_encode(), "n": [1, 2]})
    reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
    with open_duckdb(tmp_path / "a.duckdb") as connection:
        assert fill(connection, 'odd "schema"', "raw", reader) == 2
        assert connection.execute('select * from "odd ""schema""".raw').fetchall() == [("a", 1), ("b", 2)]


def test_a_view_on_files_reads_them_where_they_lie_whatever_they_are_called(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a] lake*" / "partition=2026-11-16"
    folder.mkdir(parents=True)
    paths = [str(folder / f"{name}?.parquet") for name in ("b", "a")]
    for path, numbers in zip(paths, ([1, 2], [3]), strict=True):
        pq.write_table(pa.table({"n": numbers}), path)
    file = tmp_path / "a.duckdb"
    with open_duckdb(file) as connection:
        assert (
            view_files(connection, "small", "raw", paths, ["partition", "n"], {"partition": "it's:16"}) == 3
        )
    with open_duckdb(file, read_only=True) as connection:
        rows = connection.execute("select * from small.raw").fetchall()
    assert rows == [("it's:16", 1), ("it's:16", 2), ("it's:16", 3)]
