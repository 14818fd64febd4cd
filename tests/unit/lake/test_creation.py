"""Creation of the tables: once, whoever comes first; and a loop file that no longer fits them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.lake import creation
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import TableSpec, mart_schema, raw_schema, tables_of
from lakeloop.spec.columns import ColumnSection
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks import Regression
from tests.support.small_loop import small_loop

SOURCE: dict[str, Any] = {
    "kind": "files",
    "path": "drops/{partition}.jsonl",
    "key": "id",
    "columns": {"id": "string", "text": "string", "label": "string"},
}


DAY = "2026-11-16"


def with_columns(**columns: str) -> dict[str, Any]:
    return {"source": {**SOURCE, "columns": {"id": "string", "text": "string", "label": "string", **columns}}}


def ingest_rows(lake: Lake, count: int, loop: LoopSpec | None = None) -> None:
    loop = loop or small_loop()
    row = dict.fromkeys(raw_schema(loop).names) | {"partition": DAY}
    table = pa.Table.from_pylist([row] * count, raw_schema(loop))
    lake.replace("raw", table, where={"partition": DAY}, fence=lake.claim("ingest", DAY, Attempt("run")))


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


def test_a_column_of_another_type_is_refused_by_name(lake: Lake) -> None:
    ingest_rows(lake, 1)
    with pytest.raises(ConfigurationError) as caught:
        lake.bootstrap(_text_as_integer())
    assert "text: string in the table, int64 declared" in caught.value.found
    assert caught.value.where == lake.uri("raw")
    assert "lakeloop reset small --all" in caught.value.remedy


def test_a_new_column_is_null_in_the_rows_of_before_and_their_digest_stays(lake: Lake) -> None:
    ingest_rows(lake, 2)
    before = lake.digest("raw", partition=DAY)
    loop = small_loop(**with_columns(colour="string"))
    lake.bootstrap(loop)
    lake.bootstrap(loop)
    assert lake.read("raw")["colour"].null_count == 2
    assert lake.digest("raw", partition=DAY) == before
    version = lake.version("raw")
    ingest_rows(lake, 2, loop)
    assert lake.version("raw") == version + 1, "the column was added once"


def test_a_new_column_comes_while_others_write_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest_rows(lake, 4)
    left = [1, 2, 3]
    lacking = creation._columns_that_lack

    def rows_come(table: TableSpec, existing: DeltaTable) -> list[pa.Field]:
        found = lacking(table, existing)
        if found and left:
            ingest_rows(lake, left.pop())
        return found

    monkeypatch.setattr(creation, "_columns_that_lack", rows_come)
    lake.bootstrap(small_loop(**with_columns(colour="string")))
    assert left == []
    assert lake.read("raw")["colour"].to_pylist() == [None]


def _text_as_integer() -> Any:
    # Such a loop does not validate, its text must be a string; only the comparison is looked at.
    loop = small_loop()
    columns = {**loop.source.columns, "text": ColumnSection(type="integer")}
    return loop.model_copy(update={"source": loop.source.model_copy(update={"columns": columns})})


def test_a_column_that_is_no_longer_declared_stays_and_new_rows_have_null(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "small")
    loop = small_loop(**with_columns(colour="string"))
    lake.bootstrap(loop)
    ingest_rows(lake, 1, loop)
    lake.bootstrap(small_loop())
    fence = lake.claim("ingest", "2026-11-17", Attempt("run"))
    row = dict.fromkeys(raw_schema(small_loop()).names) | {"partition": "2026-11-17", "id": "n"}
    rows = pa.Table.from_pylist([row], raw_schema(small_loop()))
    published = lake.replace("raw", rows, where={"partition": "2026-11-17"}, fence=fence)
    assert lake.read("raw", partition="2026-11-17")["colour"].to_pylist() == [None]
    assert lake.digest("raw", partition="2026-11-17") == published.digest


def test_a_table_that_never_held_a_row_takes_other_columns_as_often_as_they_change(lake: Lake) -> None:
    for columns in ({"colour": "string"}, {"size": "integer"}):
        changed = small_loop(**with_columns(**columns))
        lake.bootstrap(changed)
        lake.bootstrap(changed)
        assert lake.read("raw").schema == raw_schema(changed)
        ingest_rows(lake, 0, changed)
    table = DeltaTable(lake.uri("raw"))
    assert table.metadata().partition_columns == ["partition"]
    assert table.version() == 4  # two changes, two publishes without rows
    ingest_rows(lake, 2, changed)
    assert lake.read("raw").num_rows == 2


def test_rows_that_left_the_table_again_keep_its_columns(lake: Lake) -> None:
    ingest_rows(lake, 1)
    ingest_rows(lake, 0)
    assert lake.read("raw").num_rows == 0
    lake.bootstrap(small_loop(**with_columns(colour="string")))
    assert set(raw_schema(small_loop()).names) | {"colour"} == set(lake.read("raw").column_names)


def test_rows_that_come_while_an_empty_table_is_made_anew_are_kept(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rows_come(existing: DeltaTable) -> bool:
        found = empty(existing)
        ingest_rows(lake, 1)
        return found

    empty = creation._never_held_a_row
    monkeypatch.setattr(creation, "_never_held_a_row", rows_come)
    lake.bootstrap(small_loop(**with_columns(colour="string")))
    assert lake.read("raw")["colour"].to_pylist() == [None]


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


def log_of(lake: Lake, table: str) -> str:
    """All that the log of a table says, commit by commit."""
    entries = sorted((Path(lake.uri(table)) / "_delta_log").glob("*.json"))
    return "".join(entry.read_text() for entry in entries)


def add_words(lake: Lake) -> None:
    """A row with somebody's words, appended and replaced."""
    words = {"partition": DAY, "request_id": "r1", "text": "private words", "answer": "private words"}
    schema = next(table.schema for table in tables_of(small_loop()) if table.name == "predictions")
    row = pa.Table.from_pylist([dict.fromkeys(schema.names) | words], schema).drop_columns(["batch_id"])
    lake.append_once("predictions", row, batch_id="b1")
    raw = raw_schema(small_loop())
    line = dict.fromkeys(raw.names) | {"partition": DAY, "text": "private words", "id": "private key"}
    fence = lake.claim("ingest", DAY, Attempt("run"))
    lake.replace("raw", pa.Table.from_pylist([line], raw), where={"partition": DAY}, fence=fence)


def test_the_log_of_a_table_holds_no_words_of_people(lake: Lake) -> None:
    add_words(lake)
    assert "b1" in log_of(lake, "predictions"), "the log says what is looked up by"
    for table in ("predictions", "raw"):
        assert "private" not in log_of(lake, table)
    DeltaTable(lake.uri("predictions")).optimize.compact()
    assert "private" not in log_of(lake, "predictions")


def test_a_table_of_before_stops_telling_words_when_it_is_opened(lake: Lake) -> None:
    for table in ("predictions", "raw"):
        DeltaTable(lake.uri(table)).alter.set_table_properties({"delta.dataSkippingStatsColumns": "text"})
    lake.bootstrap(small_loop())
    version = lake.version("predictions")
    lake.bootstrap(small_loop())
    assert lake.version("predictions") == version, "it is set once"
    add_words(lake)
    assert "private" not in log_of(lake, "predictions") + log_of(lake, "raw")


def test_a_table_whose_log_was_told_to_say_less_still_takes_other_columns_while_empty(lake: Lake) -> None:
    DeltaTable(lake.uri("raw")).alter.set_table_properties({"delta.dataSkippingStatsColumns": "text"})
    lake.bootstrap(small_loop())
    lake.bootstrap(small_loop(**with_columns(extra="number")))
    assert "extra" in lake.read("raw").schema.names


def test_columns_beside_the_text_come_and_go_while_others_of_the_task_are_kept(lake: Lake) -> None:
    def of_task(**keys: Any) -> LoopSpec:
        task = {"text": "text", "label": "label", "labels": ["a", "b"], **keys}
        return small_loop(**with_columns(amount="number", plan="string"), task=task)

    plain = of_task()
    lake.bootstrap(plain)
    row = dict.fromkeys(mart_schema(plain).names) | {"partition": DAY, "row_id": "1"}
    rows = pa.Table.from_pylist([row], mart_schema(plain))
    fence = lake.claim("validate", DAY, Attempt("run"))
    published = lake.replace("mart", rows, where={"partition": DAY}, fence=fence)

    lake.require_same_columns(of_task(numeric=["amount"]), "mart")
    lake.bootstrap(of_task(numeric=["amount"]))
    assert lake.read("mart")["feature_amount"].to_pylist() == [None]
    assert lake.digest("mart", partition=DAY) == published.digest
    lake.bootstrap(of_task(categorical=["plan"]))
    assert lake.misfit(of_task(categorical=["plan"])) == ""
    with pytest.raises(
        ConfigurationError, match=r"feature_amount \(task\.categorical\): double in the table"
    ):
        lake.bootstrap(of_task(categorical=["amount"]))

    numbers = plain.model_copy(update={"task": Regression(kind="regression", text="text", value="amount")})
    with pytest.raises(
        ConfigurationError, match=r"target \(task\.value\): missing.*label: only in the table"
    ):
        lake.bootstrap(numbers)
    assert "lakeloop reset small --all" in lake.misfit(numbers)
