"""Great Expectations on a DuckDB file: it agrees with the verdict on rows, and leaves nothing behind."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.quality.alike import EACH_ROW, PLACE
from lakeloop.quality.checkpoint import Audit, run_checks
from lakeloop.quality.expectations import ACCOUNT, checks_of
from lakeloop.quality.page import DayReport
from lakeloop.quality.quarantine import Row, SetAside, tally
from lakeloop.quality.rows import BAD, GOOD, REJECTED, give_verdicts, reject, rejected
from lakeloop.scratch.duckdb import count, fill, open_duckdb
from lakeloop.spec.loop import LoopSpec
from tests.support.small_loop import small_loop
from tests.unit.quality.conftest import mart_table
from tests.unit.quality.test_rows import HOSTILE

pytestmark = pytest.mark.slow

BAD_ROWS: list[dict[str, Any]] = [
    {},
    {"label": "sports"},
    {"text": None},
    {"text": "  "},
    {"label": None},
    {"label": "cooking"},
    {"label": "cooking", "text": "nothing"},
    {"text": "x" * 30},
    {"row_id": "twice"},
    {"row_id": "twice"},
    {"row_id": None},
]
STRICT = {
    "rows": [
        {"kind": "length", "column": "text", "min": 3, "max": 20},
        {"kind": "matches", "column": "text", "regex": "^text"},
    ],
    "max_quarantined_share": 0.5,
}


def database(folder: Path, loop: LoopSpec, rows: Sequence[dict[str, Any]], share: float = 0.0) -> Path:
    file = folder / "audit.duckdb"
    with open_duckdb(file) as connection:
        give_verdicts(connection, mart_table(rows), loop)
        fill(connection, "main", ACCOUNT, pa.table({"quarantined_share": [share]}))
    return file


def audited(loop: LoopSpec, file: Path) -> Audit:
    return run_checks(file, checks_of(loop), name=loop.name)


def test_rows_that_passed_pass_the_gate(tmp_path: Path) -> None:
    loop = small_loop(checks=STRICT)
    audit = audited(loop, database(tmp_path, loop, BAD_ROWS))
    assert not audit.failed
    assert {check.name for check in audit.checks} >= {"day_min_rows", "row_id_unique", "no_text_mismatch"}


def test_the_gate_finds_exactly_the_rows_that_the_verdict_finds(tmp_path: Path) -> None:
    """GX is shown all rows, good and bad: each check counts as many bad rows as there are reasons."""
    loop = small_loop(checks=STRICT)
    file = database(tmp_path, loop, BAD_ROWS)
    with open_duckdb(file) as connection:
        counted = dict(
            connection.execute(
                f"select r.code, count(*) from (select unnest(reasons) as r from {BAD}) group by r.code"
            ).fetchall()
        )
        connection.execute(f"create or replace view {GOOD} as select * exclude ({PLACE}) from {EACH_ROW}")
    audit = audited(loop, file)
    found = {
        check.name: int(check.found.split()[0]) for check in audit.checks if "row(s) fail" in check.found
    }
    # The text has two length checks, the task's own and the file's: the second has a name of its own.
    assert found == {
        "row_id_not_null": counted["row_id_missing"],
        "row_id_unique": counted["row_id_repeated"],
        "no_text_too_short": 2,
        "no_text_too_short_2": 2,
        "no_text_too_long": counted["text_too_long"],
        "no_text_mismatch": counted["text_mismatch"],
        "no_label_missing": counted["label_missing"],
        "no_label_unknown": counted["label_unknown"],
    }
    assert counted["text_too_short"] == 4


def test_checks_of_the_day_say_what_they_wanted_and_what_they_found(tmp_path: Path) -> None:
    loop = small_loop(checks={"min_rows": 3, "min_labels": 3, "max_quarantined_share": 0.25})
    file = database(tmp_path, loop, [{}, {"label": "sports"}], share=0.3)
    audit = audited(loop, file)
    assert [(check.name, check.expected, check.found) for check in audit.failed] == [
        ("day_min_rows", "at least 3 row(s) pass", "2 row(s)"),
        ("day_min_labels", "at least 3 different label(s)", "2 different label(s)"),
        (
            "day_quarantined_share",
            "at most 25.0% of the lines in quarantine",
            "30.0% of the lines in quarantine",
        ),
    ]


def test_an_empty_day_passes_when_it_may_be_empty(tmp_path: Path) -> None:
    loop = small_loop(checks={"min_rows": 0, "min_labels": 0})
    assert not audited(loop, database(tmp_path, loop, [])).failed


def test_hostile_values_neither_break_the_queries_nor_the_pages(tmp_path: Path) -> None:
    checks = [{"kind": "one_of", "column": "label", "values": HOSTILE}]
    checks += [
        {"kind": "matches", "column": "text", "regex": regex} for regex in (r"it's|:x|x{1}|%s", r"\$\d::")
    ]
    loop = small_loop(
        clean={"normalise": False},  # a hostile label is none that normalising leaves
        checks={"rows": checks},
        task={"text": "text", "label": "label", "labels": HOSTILE, "min_characters": 1},
    )
    rows = [{"label": value, "text": f"it's {value} $1::"} for value in HOSTILE]
    audit = audited(loop, database(tmp_path, loop, rows))
    assert not audit.failed
    assert int(next(c.found for c in audit.checks if c.name == "no_label_unknown").split()[2]) == len(HOSTILE)


def test_a_check_that_cannot_be_evaluated_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    loop = small_loop()
    file = database(tmp_path, loop, [{}])
    broken = small_loop(checks={"rows": [{"kind": "matches", "column": "text", "regex": "(unclosed"}]})
    with pytest.raises(ConfigurationError, match="no_text_mismatch") as caught:
        audited(broken, file)
    assert "missing )" in caught.value.found


def test_nothing_is_left_and_the_file_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "tmp"
    empty.mkdir()
    monkeypatch.setenv("TMPDIR", str(empty))
    handlers = list(logging.getLogger().handlers)
    loop = small_loop()
    audited(loop, database(tmp_path, loop, [{}]))
    assert list(empty.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.duckdb", "tmp"]
    assert logging.getLogger().handlers == handlers
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")  # no progress bars in a log
    with duckdb.connect(str(tmp_path / "audit.duckdb"), config={"threads": "1"}):
        pass  # another configuration is refused while a connection is open


@pytest.mark.slow
def test_importing_great_expectations_fills_no_log(tmp_path: Path) -> None:
    code = "import logging; logging.basicConfig(level=0); from lakeloop.quality import checkpoint; import {}"
    imported = [sys.executable, "-c", code.format("great_expectations.expectations.core")]
    done = subprocess.run(imported, capture_output=True, text=True, check=True, env={"HOME": str(tmp_path)})
    assert [line for line in done.stderr.splitlines() if "great_expectations" in line] == []


def test_the_page_shows_results_and_rows_and_needs_no_net(tmp_path: Path) -> None:
    loop = small_loop(checks={"min_rows": 3})
    rows = [{}, {"label": "<script>alert(1)</script>"}]
    file = database(tmp_path, loop, rows, share=0.5)
    with open_duckdb(file) as connection:
        reject(connection, loop)
        here = tally(connection, REJECTED)
        bad = rejected(connection).read_all()
    account = {"lines_read": 2345, "good": 1, "quarantined": 1, "duplicates": 0}
    audit = audited(loop, file)
    line = {"stage": "ingest", "reason": "wrong_type", "column": "id", "detail": "id: expected string"}
    line |= {"source_file": "drops/drop.jsonl", "source_line": 7, "raw": "<script>alert(2)</script>"}
    refused = Row.of({**dict.fromkeys(Row.model_fields), "partition": "2026-11-16", **line})
    there = SetAside(
        partition="2026-11-16", stage="ingest", reason="wrong_type", column="id", rows=1395,
        first_line=7, first_detail="id: expected string",
    )  # fmt: skip
    examples = (refused, *map(Row.of, bad.to_pylist()))
    report = DayReport("small", "2026-11-16", "run#1", audit, account, (there, *here), examples)
    page = report.write(tmp_path / "docs").read_text()
    assert "the day was stopped, nothing of it was published" in page
    assert "at least 3 row(s) pass" in page
    assert "2,345" in page
    assert "drop.jsonl:2" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "1,395" in page
    assert "drop.jsonl:7" in page
    assert "&lt;script&gt;alert(2)" in page
    assert "<script" not in page
    assert "http" not in page
    result = json.loads((tmp_path / "docs/result.json").read_text())
    assert result["success"] is False
    assert [(one["stage"], one["reason"], one["column"], one["rows"]) for one in result["set_aside"]] == [
        ("ingest", "wrong_type", "id", 1395),
        ("validate", "label_unknown", "label", 1),
    ]
    assert result["great_expectations"]["validations"]


def test_rows_of_a_check_of_the_batch_stay_and_the_day_stops_when_too_many_fail(tmp_path: Path) -> None:
    rows = [{"text": "ab"}, *({} for _ in range(9))]
    for mostly, stops in ((0.9, False), (0.91, True)):
        check = {"kind": "length", "column": "text", "min": 3, "severity": "batch", "mostly": mostly}
        loop = small_loop(checks={"rows": [check]})
        folder = tmp_path / str(mostly)
        folder.mkdir()
        audit = audited(loop, database(folder, loop, rows))
        (one,) = [check for check in audit.checks if check.name == "text_length"]
        assert one.found == "1 of 10 row(s) fail (10.00%): 2 characters"
        assert (one.success, one.mostly, bool(audit.failed)) == (not stops, mostly, stops)


def test_rows_that_the_task_does_not_know_stop_the_day_where_that_is_asked_for(tmp_path: Path) -> None:
    rows = [{"label": "cooking"}, {"label": None}, {"text": None}, {"text": " "}, {}]
    for severity, bad in (("row", 4), ("batch", 0)):
        loop = small_loop(checks={"task_severity": severity})
        folder = tmp_path / severity
        folder.mkdir()
        file = database(folder, loop, rows)
        with open_duckdb(file) as connection:
            assert count(connection, BAD) == bad
        failed = {check.name: check.found for check in audited(loop, file).failed}
        assert failed == ({} if severity == "row" else TOLD)


TOLD = {
    "text_length": "2 of 5 row(s) fail (40.00%): no value, 0 characters",
    "label_not_null": "1 of 5 row(s) fail (20.00%)",
    "label_one_of": "1 of 5 row(s) fail (20.00%): cooking",
}


def test_a_check_that_warns_stops_no_day_and_is_counted_apart(tmp_path: Path) -> None:
    checks = [
        {"kind": "between", "column": "feature_size", "min": 1, "max": 5, "severity": "warn"},
        {"kind": "one_of", "column": "label", "values": ["tech"], "severity": "warn", "mostly": 0.5},
        {"kind": "one_of", "column": "label", "values": ["tech"], "severity": "batch", "mostly": 0.5},
    ]
    columns = {"id": "string", "text": "string", "label": "string", "size": "number"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    task = {"text": "text", "label": "label", "labels": ["sports", "tech"], "numeric": ["size"]}
    loop = small_loop(source=source, task=task, checks={"rows": checks})
    table = mart_table([{}, {}, {}])
    size = pa.array([3.0, 9.0, float("nan")])
    file = tmp_path / "audit.duckdb"
    with open_duckdb(file) as connection:
        give_verdicts(connection, table.add_column(3, "feature_size", size), loop)
        fill(connection, "main", ACCOUNT, pa.table({"quarantined_share": [0.0]}))
    audit = audited(loop, file)
    assert not audit.failed
    assert [(check.name, check.found) for check in audit.warned] == [
        ("feature_size_between", "2 of 3 row(s) fail (66.67%): 9.0, nan")
    ]
    assert audit.words.endswith("checks passed, 1 warn: feature_size_between")
    assert {"label_one_of", "label_one_of_2"} <= {check.name for check in audit.checks}
