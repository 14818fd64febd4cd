"""dbt run in this process: what it builds, what it leaves behind, and what its failures look like."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakeloop.errors import ConfigurationError, DataError, ServiceError
from lakeloop.spec.clean import Clean
from lakeloop.transform.dbt import build
from lakeloop.transform.page import DocsPage
from lakeloop.transform.told import NodeResult, by_model
from tests.support.dbt_project import MART, STAGING, raw_database, write_dbt_project
from tests.support.small_loop import small_loop

CACHE = Path(os.environ["LAKELOOP_CACHE"]) / "dbt"
"""Parsing a project takes seconds: the same one is parsed once for all tests."""
ROWS = [
    {"id": "a", "text": "one", "label": "tech"},
    {"id": "b", "text": "two", "label": "tech"},
]


class Bench:
    """A project, a database and a place for what dbt writes."""

    def __init__(self, folder: Path, rows: Sequence[Mapping[str, Any]] = ROWS) -> None:
        self.folder = folder
        self.project = write_dbt_project(folder / "dbt")
        self.database = raw_database(folder, small_loop(), rows)

    def write(self, **files: str) -> None:
        write_dbt_project(self.project, **files)

    def build(
        self, database: Path | None = None, cache: Path | None = None, docs: DocsPage | None = None
    ) -> tuple[NodeResult, ...]:
        return build(
            self.project,
            database or self.database,
            loop="small",
            clean=Clean(),
            target=self.folder / "target",
            cache=cache or CACHE,
            own=self.project,
            docs=docs,
        )

    def rows(self, database: Path | None = None) -> Sequence[Any]:
        with duckdb.connect(str(database or self.database)) as connection:
            return connection.execute("select row_id from mart_small order by 1").fetchall()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def process_state() -> Mapping[str, Any]:
    names = ("", "file_log", "stdout_log", "lakeloop")
    return {
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "handlers": {name: list(logging.getLogger(name).handlers) for name in names},
        "level": logging.getLogger().level,
    }


def semaphores() -> set[str]:
    """What this process would still have to give back when it ends."""
    return {str(finaliser) for finaliser in util._finalizer_registry.values()}


@pytest.mark.slow
def test_models_are_built_and_tested_and_nothing_is_left_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DBT_EMPTY", "1")  # with it, dbt would build empty tables
    files = sorted(bench.project.rglob("*"))
    before, held = process_state(), semaphores()
    results = bench.build()
    assert process_state() == before
    assert semaphores() <= held
    assert capsys.readouterr().out == ""
    assert sorted(bench.project.rglob("*")) == files
    assert [(r.name, r.kind, r.status) for r in results] == [
        ("stg_small", "model", "success"),
        ("mart_small", "model", "success"),
        ("unique_together_mart_small_source_file__source_line", "test", "pass"),
    ]
    assert bench.rows() == [("a",), ("b",)]


@pytest.mark.slow
def test_a_project_elsewhere_that_is_the_same_is_not_parsed_again_unless_what_was_kept_is_damaged(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    bench.build(cache=cache)
    (parsed,) = cache.iterdir()
    whole = parsed.read_bytes()
    other = Bench(tmp_path / "other", ROWS[1:])
    before = parsed.stat().st_ino
    other.build(cache=cache)
    assert [file.stat().st_ino for file in cache.iterdir()] == [before], "not written anew"
    assert (bench.rows(), other.rows()) == ([("a",), ("b",)], [("b",)])

    parsed.write_bytes(whole[: len(whole) // 2])
    other.build(cache=cache)
    assert "cannot be read, the project is parsed again" in caplog.text
    assert parsed.stat().st_size > len(whole) // 2, "whole again"


@pytest.mark.slow
def test_a_changed_model_is_parsed_again(bench: Bench) -> None:
    bench.build()
    bench.write(mart=MART.strip() + "\nwhere row_id <> 'a'\n")
    bench.build()
    assert bench.rows() == [("b",)]


def test_models_that_are_not_complete_are_named(tmp_path: Path) -> None:
    project = write_dbt_project(tmp_path, "other")
    with pytest.raises(ConfigurationError, match=r"models/small/marts/mart_small\.sql") as caught:
        build(project, tmp_path / "x", loop="small", clean=Clean(), target=tmp_path, cache=tmp_path)
    assert "move it away, and the models are generated" in caught.value.remedy


@pytest.mark.slow
def test_sql_that_names_no_column_says_model_file_and_column(bench: Bench) -> None:
    bench.write(staging=STAGING.replace("'raw')", "'raw'), text='body'"))
    with pytest.raises(ConfigurationError) as caught:
        bench.build()
    message = str(caught.value)
    assert "model stg_small" in message
    assert '"body" not found' in message
    assert "models/small/staging/stg_small.sql" in message
    assert "correct the model" in message


@pytest.mark.slow
def test_a_generated_model_that_fails_is_named_where_it_will_lie_with_the_way_to_change_it(
    bench: Bench,
) -> None:
    bench.write(staging=STAGING.replace("'raw')", "'raw'), text='body'"))
    with pytest.raises(ConfigurationError) as caught:
        build(
            bench.project,
            bench.database,
            loop="small",
            clean=Clean(),
            target=bench.folder / "target",
            cache=CACHE,
            kept_as=bench.folder / "kept" / bench.database.name,
        )
    assert caught.value.where == str(bench.folder / "kept/dbt/models/small/staging/stg_small.sql")
    assert caught.value.remedy.endswith("to change them, lakeloop eject small")


@pytest.mark.slow
def test_a_project_that_cannot_be_parsed_names_the_file(bench: Bench) -> None:
    bench.write(mart="select {{ unclosed ")
    with pytest.raises(ConfigurationError, match=r"mart_small\.sql"):
        bench.build()


SLIPS = {
    "template": (
        {"mart": "select *\nfrom {{{{ ref('stg_small') \n"},
        "marts/mart_small.sql:2",
        "end of template",
    ),
    "macro": (
        {"mart": "select *\nfrom {{{{ reff('stg_small') }}}}\n"},
        "marts/mart_small.sql:2",
        "'reff' is",
    ),
    "model": ({"mart": "select *\nfrom {{{{ ref('stg_smal') }}}}\n"}, "marts/mart_small.sql:2", "stg_smal"),
    "SQL": (
        {"mart": "select\n *\nfrom {{{{ ref('stg_small') }}}}\nwheree row_id = 'a'\n"},
        "marts/mart_small.sql:4",
        "syntax error",
    ),
    "yml": ({"yml": "models:\n  - name: [mart_small\n  - x: y\n"}, "small.yml:3", "Syntax error"),
}


@pytest.mark.slow
@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_named_with_file_and_line_once(
    bench: Bench, caplog: pytest.LogCaptureFixture, slip: str
) -> None:
    files, where, said = SLIPS[slip]
    bench.write(**files)
    with pytest.raises(ConfigurationError) as caught:
        bench.build()
    assert caught.value.where == f"{bench.project}/models/small/{where}"
    assert said in caught.value.message
    assert caught.value.remedy.startswith("correct ")
    assert "mart_small" in caught.value.message or slip == "yml"
    assert [record.message for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.slow
def test_the_log_has_a_group_for_each_model_with_what_became_of_its_tests(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="lakeloop.transform.told")
    nodes = bench.build()
    told = [record.message for record in caplog.records if record.name == "lakeloop.transform.told"]
    assert [line.split(",")[0] for line in told if line.startswith("::")] == [
        "::group::dbt model stg_small: success",
        "::endgroup::",
        "::group::dbt model mart_small: success",
        "::endgroup::",
    ]
    assert "1 of 1 test passed" in next(line for line in told if "group::dbt model mart_small" in line)
    staged, mart = by_model(nodes, {"mart_small": 2})
    assert (staged.name, staged.rows, staged.tests) == ("stg_small", None, 0)
    assert (mart.name, mart.rows, mart.tests, mart.warned) == ("mart_small", 2, 1, {})

    caplog.clear()
    bench.write(mart="select * from {{{{ ref('stg_{loop}') }}}} union all from {{{{ ref('stg_{loop}') }}}}")
    with pytest.raises(DataError):
        bench.build()
    assert "unique_together_mart_small_source_file__source_line: fail, " in caplog.text
    assert "0 of 1 test passed" in caplog.text


@pytest.mark.slow
def test_dbts_page_is_made_when_the_models_are_others(bench: Bench) -> None:
    page = DocsPage(bench.folder / "docs", "one")
    bench.build(docs=page)
    made = page.file.read_text()
    assert "model.lakeloop.mart_small" in made
    assert '"MANIFEST.JSON INLINE DATA"' not in made
    page.file.write_text("as it was")
    bench.build(docs=page)
    assert page.file.read_text() == "as it was"
    bench.build(docs=DocsPage(page.folder, "another"))
    assert page.file.read_text() != "as it was"


@pytest.mark.slow
def test_a_broken_contract_names_the_column(bench: Bench) -> None:
    bench.write(mart="select * exclude (label), 1 as label from {{{{ ref('stg_{loop}') }}}}")
    with pytest.raises(ConfigurationError, match="enforced contract that failed") as caught:
        bench.build()
    assert "label" in str(caught.value)
    assert "contract in the yml" in caught.value.remedy


@pytest.mark.slow
def test_a_value_that_does_not_fit_is_a_matter_of_data(bench: Bench) -> None:
    bench.write(
        mart="select * replace (cast(row_id as bigint) as source_line) from {{{{ ref('stg_{loop}') }}}}"
    )
    with pytest.raises(DataError, match="Could not convert string 'a' to INT64") as caught:
        bench.build()
    assert str(bench.database) in caught.value.remedy


@pytest.mark.slow
def test_a_failed_data_test_names_test_model_rows_and_query(bench: Bench) -> None:
    doubled = "select * from {{{{ ref('stg_{loop}') }}}} union all select * from {{{{ ref('stg_{loop}') }}}}"
    bench.write(mart=doubled)
    with pytest.raises(DataError, match="data test") as caught:
        bench.build()
    assert "unique_together_mart_small_source_file__source_line of mart_small: 2" in caught.value.found
    assert "having count(*) > 1" in caught.value.remedy


@pytest.mark.slow
def test_a_file_that_somebody_holds_open_is_worth_a_retry(bench: Bench) -> None:
    code = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(bench.database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ServiceError, match="lock"):
            bench.build()
        holder.communicate()
    assert bench.build()


@pytest.mark.slow
def test_a_day_that_does_not_fit_into_memory_is_built_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_DUCKDB_MEMORY", "48MB")
    chance = random.Random(7)
    rows = [{"id": f"{n}", "text": chance.randbytes(400).hex(), "label": "tech"} for n in range(60_000)]
    bench = Bench(tmp_path, rows)
    assert [result.status for result in bench.build()] == ["success", "success", "pass"]
    assert len(bench.rows()) == len(rows)
