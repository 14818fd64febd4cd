"""Creation of the tables: once, whoever comes first; and a loop file that no longer fits them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.lake import Lake
from lakeloop.lake.tables import raw_schema, tables_of
from tests.support.small_loop import small_loop

SOURCE: dict[str, Any] = {
    "kind": "files",
    "path": "drops/{partition}.jsonl",
    "key": "id",
    "columns": {"id": "string", "text": "string", "label": "string"},
}


def with_columns(**columns: str) -> dict[str, Any]:
    return {"source": {**SOURCE, "columns": {"id": "string", "text": "string", "label": "string", **columns}}}


def test_bootstrap_makes_every_table_once(lake: Lake) -> None:
    lake.bootstrap(small_loop())
    for table in tables_of(small_loop()):
        found = DeltaTable(lake.uri(table.name))
        assert found.version() == 0
        assert found.metadata().partition_columns == list(table.partition_by)
        assert lake.read(table.name).schema == table.schema


def test_every_declared_type_has_a_column_type(tmp_path: Path) -> None:
    loop = small_loop(**with_columns(a="integer", b="number", c="boolean", d="timestamp", e="date"))
    lake = Lake(str(tmp_path), "small")
    lake.bootstrap(loop)
    assert lake.read("raw").schema == raw_schema(loop)


def bootstrap_when_all_are_ready(root: str, barrier: Any) -> None:
    lake = Lake(root, "small")
    barrier.wait()
    lake.bootstrap(small_loop())


@pytest.mark.slow
def test_processes_that_bootstrap_at_once_end_with_one_table_each(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")  # the runtime of delta-rs does not survive a fork
    barrier = context.Barrier(3)
    workers = [
        context.Process(target=bootstrap_when_all_are_ready, args=(str(tmp_path), barrier)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    for table in tables_of(small_loop()):
        assert len(DeltaTable(f"{tmp_path}/small/{table.name}").history()) == 1


@pytest.mark.parametrize(
    ("columns", "difference"),
    [
        ({"colour": "string"}, "colour: missing in the table"),
        ({"text": "integer"}, "text: string in the table, int64 declared"),
    ],
)
def test_changed_columns_are_refused_by_name(lake: Lake, columns: dict[str, str], difference: str) -> None:
    changed = small_loop(**with_columns(**columns)) if "text" not in columns else _text_as_integer()
    with pytest.raises(ConfigurationError) as caught:
        lake.bootstrap(changed)
    assert difference in caught.value.found
    assert caught.value.where == lake.uri("raw")


def _text_as_integer() -> Any:
    # Such a loop does not validate, its text must be a string; only the comparison is looked at.
    loop = small_loop()
    columns = {**loop.source.columns, "text": "integer"}
    return loop.model_copy(update={"source": loop.source.model_copy(update={"columns": columns})})


def test_a_removed_column_is_named(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "small")
    lake.bootstrap(small_loop(**with_columns(colour="string")))
    with pytest.raises(ConfigurationError, match="colour: only in the table"):
        lake.bootstrap(small_loop())


def test_a_table_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "small")
    with pytest.raises(ConfigurationError, match="the lake has no table 'mart'") as caught:
        lake.read("mart")
    assert "bootstrap" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="the lake has no table"):
        lake.claim("ingest", "2026-11-16", Attempt("run"))


def test_a_lake_that_cannot_be_written_to_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where a folder should be")
    with pytest.raises((ConfigurationError, OSError)):
        Lake(str(tmp_path / "lake"), "small").bootstrap(small_loop())
