from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.scratch.duckdb import fill, open_duckdb
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
