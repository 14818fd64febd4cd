"""A table is followed from version to version, and what is followed is always what is on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakeloop.errors import ConfigurationError
from lakeloop.lake.delta import DeltaStore


def rows(*numbers: int) -> pa.Table:
    return pa.table({"number": pa.array(numbers, pa.int64())})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "numbers"
    write_deltalake(str(folder), rows(1))
    return folder


@pytest.fixture
def store(table: Path) -> DeltaStore:
    """One that has looked at the table."""
    store = DeltaStore(str(table.parent))
    assert numbers(store) == [1]
    return store


def numbers(store: DeltaStore, version: int | None = None) -> list[int]:
    found: list[int] = store.dataset("numbers", version, {}).to_table()["number"].to_pylist()
    return sorted(found)


def test_what_others_commit_is_seen_at_once_and_older_versions_stay(store: DeltaStore, table: Path) -> None:
    write_deltalake(str(table), rows(2), mode="append")
    assert (numbers(store), store.version("numbers")) == ([1, 2], 1)
    write_deltalake(str(table), rows(3), mode="overwrite")
    assert numbers(store) == [3]
    assert [numbers(store, version) for version in range(3)] == [[1], [1, 2], [3]]
    assert numbers(store) == [3]


def test_the_log_may_be_cut_off_behind_a_checkpoint_in_between(store: DeltaStore, table: Path) -> None:
    for number in range(2, 6):
        write_deltalake(str(table), rows(number), mode="append")
    DeltaTable(str(table)).create_checkpoint()
    for entry in sorted((table / "_delta_log").glob("*.json"))[:-1]:
        entry.unlink()
    assert numbers(store) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_table_that_was_deleted_and_made_again_is_another(
    store: DeltaStore, table: Path, commits: int
) -> None:
    write_deltalake(str(table), rows(2), mode="append")
    assert numbers(store) == [1, 2]
    shutil.rmtree(table)
    for number in range(commits):
        write_deltalake(str(table), rows(70 + number), mode="append")
    assert numbers(store) == [70 + number for number in range(commits)]


def test_a_table_that_is_gone_is_said_to_be(store: DeltaStore, table: Path) -> None:
    shutil.rmtree(table)
    with pytest.raises(ConfigurationError, match="no table 'numbers'"):
        store.version("numbers")


def test_a_look_is_not_moved_by_a_writer_of_the_same_store(store: DeltaStore, table: Path) -> None:
    snapshot = store.open("numbers")
    store.commit("numbers", snapshot, rows(2), replace=None, metadata={}, only_next=True)
    assert numbers(store) == [1, 2]
    with store.reading("numbers", 0) as old:
        assert (old.version(), DeltaTable(str(table)).version()) == (0, 1)
