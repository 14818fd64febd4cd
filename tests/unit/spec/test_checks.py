"""What a loop file may ask of rows and days, and how a combination that makes no sense is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.checks import RowCheck
from lakeloop.spec.identity import identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import choices
from lakeloop.spec.shape import kinds_of
from tests.support.loops import Refuse
from tests.support.small_loop import small_loop


def refused(**checks: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        loop_with(**checks)
    return str(caught.value)


def loop_with(**checks: Any) -> LoopSpec:
    columns = {"id": "string", "text": "string", "label": "string", "at": "timestamp", "size": "number"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    task = {"text": "text", "label": "label", "labels": ["sports", "tech"], "numeric": ["size"]}
    return small_loop(source={**source, "event_time": "at"}, task=task, checks=checks)


def test_severity_and_share_decide_rows_and_at_their_defaults_nothing() -> None:
    said = {"kind": "not_null", "column": "event_time"}
    before = identity(loop_with(rows=[said]), "mart")
    assert before["checks"] == {"rows": [said]}
    assert identity(loop_with(rows=[{**said, "severity": "row", "mostly": 1}]), "mart") == before
    batch = {**said, "severity": "batch", "mostly": 0.9}
    assert identity(loop_with(rows=[batch]), "mart")["checks"] == {"rows": [batch]}


def test_the_tasks_own_checks_are_of_rows_unless_the_file_says_that_they_stop_the_day() -> None:
    said = {"kind": "not_null", "column": "event_time"}
    usual, strict = loop_with(rows=[said]), loop_with(rows=[said], task_severity="batch")
    assert {check.severity for check in usual.row_checks} == {"row"}
    assert {check.severity for check in strict.row_checks[:-1]} == {"batch"}
    assert strict.row_checks[-1].severity == "row", "those of the file are what it says"
    assert "task_severity" not in identity(usual, "mart")["checks"]
    assert identity(strict, "mart")["checks"]["task_severity"] == "batch"
    assert "'row' or 'batch'" in refused(task_severity="warn")


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"kind": "not_null", "mostly": 0.9}, "mostly: with severity: row each row is judged by itself"),
        ({"kind": "not_null", "mostly": 0, "severity": "batch"}, "greater than 0"),
        ({"kind": "as_many_words", "other": "words"}, "checks.rows.0.other: no such column of the mart"),
        ({"kind": "between", "min": 1}, "checks.rows.0.column: a column of the wrong type"),
        ({"kind": "time_between", "max": "now"}, "checks.rows.0.column: a column of the wrong type"),
        ({"kind": "time_between", "column": "event_time"}, "min: no limit is given"),
        ({"kind": "time_between", "column": "event_time", "min": "-30"}, "should match pattern"),
        ({"kind": "time_between", "column": "event_time", "min": "2026-02-30"}, "min: no such moment"),
        (
            {"kind": "time_between", "column": "event_time", "min": "now", "max": "-1d"},
            "max: no moment can pass, expected not before min (now)",
        ),
        (
            {"kind": "time_between", "column": "event_time", "min": "now", "zone": "Mars/Base"},
            "a time zone by its IANA name",
        ),
        (
            {"kind": "unique", "together_with": ["label", "at"]},
            "checks.rows.0.together_with.1: no such column",
        ),
        (
            {"kind": "compare", "relation": "equal", "other": "feature_size"},
            "checks.rows.0.other: a column of the wrong type, expected one of row_id, text, label",
        ),
    ],
)
def test_a_check_of_rows_that_makes_no_sense_is_refused(check: dict[str, Any], expected: str) -> None:
    assert expected in refused(rows=[{"column": "text", **check}])


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"kind": "mean", "min": 1}, "checks.batch.0.column: a column of the wrong type"),
        ({"kind": "sum", "column": "feature_size"}, "min: no limit is given"),
        ({"kind": "distinct", "min": 3, "max": 2}, "max: no number can pass"),
        ({"kind": "quantile", "column": "feature_size", "at": 1, "min": 0}, "less than 1"),
        ({"kind": "value_share", "values": ["a", "b", "c"], "min": 0.4}, "min: no day can pass"),
        ({"kind": "contains_all", "column": "feature_size", "values": ["1"]}, "batch.0.column: a column"),
        ({"kind": "mean", "column": "feature_size", "min": 1, "severity": "row"}, "'batch' or 'warn'"),
        ({"kind": "mean", "column": "feature_size", "min": 1, "mostly": 0.9}, "mostly"),
    ],
)  # fmt: skip
def test_a_check_of_a_day_that_makes_no_sense_is_refused(check: dict[str, Any], expected: str) -> None:
    assert expected in refused(batch=[{"column": "text", **check}])


def test_a_day_cannot_have_fewer_rows_than_it_must_have() -> None:
    assert "max_rows: no number can pass, expected at least min (5), found 4" in refused(
        min_rows=5, max_rows=4
    )


def test_an_unknown_kind_of_check_is_told_with_those_that_there_are(refuse: Refuse) -> None:
    said = refuse(("checks:", "checks:\n  rows: [{kind: one_off, column: text}]"))
    assert (
        "checks.rows[0].kind: wrong value\n"
        f"    expected: {choices(list(kinds_of(RowCheck)))}\n"
        '    found: "one_off" (text)\n'
        "    did you mean: one_of"
    ) in said


def test_a_comparison_with_the_days_before_has_a_short_form_and_changes_no_day_that_was_published() -> None:
    off, on = loop_with(), loop_with(history=True)
    assert off.checks.history is None
    assert loop_with(history=False) == off
    assert on.checks.history is not None
    assert on.checks.history.severity == "warn"
    assert identity(on, "mart") == identity(off, "mart")
    section = loop_with(history={"days": 14, "severity": "batch", "shares": False})
    assert identity(section, "mart") == identity(off, "mart")
    assert "least_days: no day is ever compared" in refused(history={"days": 5})
    assert "history" in refused(history="yes")
