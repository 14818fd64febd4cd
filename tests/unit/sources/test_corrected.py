"""Corrections on a delivery: whatever is corrected, each record is there once, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.lake.corrections import Correction
from lakeloop.sources.corrected import CorrectedDelivery, as_json, fields_of, row_of
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.portable import reject_line, reject_of
from lakeloop.sources.rejects import EmptyLines, LineError, Reason, Reject
from lakeloop.spec.source import FilesSource

SOURCE = FilesSource.model_validate(
    {
        "kind": "files",
        "path": "{partition}.jsonl",
        "key": "id",
        "columns": {"id": "string", "at": "timestamp", "n": "integer", "x": "number", "yes": "boolean"},
    }
)
DAY = "2026-11-16"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def correction(line: int, before: str, record: Any, stage: Any = "ingest", drop: str = "") -> Correction:
    return Correction(
        partition=DAY,
        source_file="drop.jsonl",
        source_line=line,
        stage=stage,
        drop=drop,
        before=before,
        record=None if record is None else as_json(record),
        why="tests",
        corrected_by="ann",
        corrected_at=NOON,
    )


def delivery(folder: Path, lines: Sequence[str], sha256: str = "0" * 64) -> FileDelivery:
    path = folder / "drop.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return FileDelivery(path, sha256, "drop.jsonl", SOURCE)


def read(found: CorrectedDelivery | FileDelivery) -> tuple[dict[int, str], dict[int, tuple[str, bool]]]:
    rows: dict[int, str] = {}
    rejects: dict[int, tuple[str, bool]] = {}
    for block in found.blocks():
        assert block.read == len(block.rows) + len(block.rejects)
        rows |= {row["source_line"]: row["id"] for row in block.rows.to_pylist()}
        rejects |= {reject.line: (str(reject.reason), reject.readmitted) for reject in block.rejects}
    return rows, rejects


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_each_record_is_read_once_whatever_is_corrected(tmp_path: Path, data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(["good", "bad", ""]), min_size=1, max_size=200))
    lines = [
        json.dumps({"id": f"r{number}"}) if kind == "good" else kind and f"bad {number}"
        for number, kind in enumerate(kinds, start=1)
    ]
    chosen = data.draw(st.sets(st.integers(1, len(lines) + 2)))
    what = {number: data.draw(st.sampled_from(["row", "bad", "gone", "other"])) for number in chosen}
    same = data.draw(st.booleans())
    made = []
    for number, kind in what.items():
        good = number <= len(lines) and kinds[number - 1] == "good"
        now = lines[number - 1] if number <= len(lines) else "beyond"
        before = as_json({"id": f"r{number}"}) if good else now
        record = {"row": {"id": f"c{number}"}, "bad": {"id": ""}, "gone": None, "other": {"id": "o"}}[kind]
        before = "another record" if kind == "other" and not good else before
        before = as_json({"id": "another"}) if kind == "other" and good else before
        made.append(correction(number, before, record, "validate" if good else "ingest", "sha256:1"))
    file = delivery(tmp_path, lines, "1" if same else "0")
    plain_rows, plain_rejects = read(file)
    mended = CorrectedDelivery(file, data.draw(st.permutations(made)), SOURCE)
    rows, rejects = read(mended)
    assert len(rows) + len(rejects) == len(lines)
    assert rows.keys() | rejects.keys() == set(range(1, len(lines) + 1))
    for number in range(1, len(lines) + 1):
        kind = what.get(number, "")
        if kind == "other" and same:
            kind, expected = "row", "o"
        else:
            expected = f"c{number}"
        if kind == "row":
            assert rows[number] == expected
        elif kind == "bad":
            assert rejects[number] == ("null_key", True)
        elif kind == "gone":
            assert rejects[number] == ("discarded", True)
        else:
            assert rows.get(number) == plain_rows.get(number)
            assert rejects.get(number) == plain_rejects.get(number)
    away = sum(number > len(lines) or (kind == "other" and not same) for number, kind in what.items())
    assert mended.applied == len(what) - away


def test_one_of_many_empty_lines_is_corrected(tmp_path: Path) -> None:
    file = delivery(tmp_path, [""] * 500)
    assert any(isinstance(block.rejects, EmptyLines) for block in file.blocks())
    rows, rejects = read(CorrectedDelivery(file, [correction(77, "", {"id": "x"})], SOURCE))
    assert (rows, len(rejects)) == ({77: "x"}, 499)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n": 3, "x": 2.5, "yes": True}, {"n": 3, "x": 2.5, "yes": True}),
        ({"n": "3", "x": "2.5", "yes": "true"}, {"n": 3, "x": 2.5, "yes": True}),
        ({"x": 3, "id": 7}, {"x": 3.0, "id": "7"}),
        ({"at": "2026-11-20T13:00:00+01:00", "more": 1}, {"at": NOON}),
        ({"n": None}, {"n": None}),
    ],
)
def test_values_are_read_as_text_or_as_they_are(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    row = row_of(fields, SOURCE)
    assert row == expected
    assert row_of(fields_of(row, SOURCE), SOURCE) == row


@pytest.mark.parametrize(
    "fields", [{"n": 2.5}, {"n": "x"}, {"x": [1]}, {"yes": 1}, {"at": "soon"}, {"n": 2**70}]
)
def test_a_value_of_another_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(LineError, match="expected"):
        row_of(fields, SOURCE)


def test_the_line_of_a_rejected_record_is_that_of_before_where_nobody_corrected_it() -> None:
    reject = Reject(3, 17, Reason.WRONG_TYPE, "n: expected integer", '{"n": "x"}', "n", "k3")
    line = reject_line("drop.jsonl", reject)
    assert line == (
        b'{"file": "drop.jsonl", "reject": {"line": 3, "byte_offset": 17, "reason": "wrong_type", '
        b'"detail": "n: expected integer", "raw": "{\\"n\\": \\"x\\"}", "column": "n", "row_key": "k3", '
        b'"raw_form": "line"}}\n'
    ), "days of files with many days have digests of such lines"
    for each in (reject, replace(reject, readmitted=True)):
        assert reject_of(reject_line("drop.jsonl", each)) == ("drop.jsonl", each)
