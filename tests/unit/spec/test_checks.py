"""What a loop file may ask of rows and days, and how a combination that makes no sense is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.identity import identity
from lakeloop.spec.loop import LoopSpec
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


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"kind": "not_null", "mostly": 0.9}, "mostly: with severity: row each row is judged by itself"),
        ({"kind": "not_null", "mostly": 0, "severity": "batch"}, "greater than 0"),
        ({"kind": "as_many_words", "other": "words"}, "checks.rows.0.other: no such column of the mart"),
        ({"kind": "between", "min": 1}, "checks.rows.0.column: a column of the wrong type"),
    ],
)
def test_a_check_of_rows_that_makes_no_sense_is_refused(check: dict[str, Any], expected: str) -> None:
    assert expected in refused(rows=[{"column": "text", **check}])
