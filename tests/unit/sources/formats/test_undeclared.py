"""Fields that the loop file does not declare are left out, kept or refused, and always counted."""

from __future__ import annotations

import io
import json
from typing import Any, Literal

import pytest

from lakeloop.errors import DataError
from lakeloop.sources.base import Block
from lakeloop.sources.formats.registry import format_of
from lakeloop.spec.source import FilesSource

Policy = Literal["ignore", "keep", "refuse"]
JSON = b'{"id":"1","Who":"a","n":1}\n{"id":"2"}\n{"id":"3","n":"x"}\n'
CSV = b"id,Who,n\n1,a,1\n2,,\n3,,x\n"


def blocks(content: bytes, policy: Policy, file_format: Literal["jsonl", "csv"]) -> list[Block]:
    source = FilesSource(
        kind="files",
        path="{partition}",
        key="id",
        columns={"id": "string", "who": {"type": "string", "from": "Who"}},  # type: ignore[dict-item]
        undeclared=policy,
        format=file_format,
    )
    return list(format_of(source).read(io.BytesIO(content), "drop", source))


def rows(found: list[Block]) -> list[dict[str, Any]]:
    return [row for block in found for row in block.rows.to_pylist()]


def test_ignored_fields_are_counted() -> None:
    found = blocks(JSON, "ignore", "jsonl")
    assert [(row["id"], row["who"]) for row in rows(found)] == [("1", "a"), ("2", None), ("3", None)]
    assert [dict(block.undeclared) for block in found] == [{"n": 2}]
    assert [dict(block.undeclared) for block in blocks(CSV, "ignore", "csv")] == [{"n": 3}]


def test_ignored_fields_are_counted_line_by_line_too() -> None:
    found = blocks(JSON + b"bad\n", "ignore", "jsonl")
    assert [dict(block.undeclared) for block in found] == [{"n": 2}]
    assert [len(block.rejects) for block in found] == [1]


@pytest.mark.parametrize(
    ("content", "file_format"), [(JSON, "jsonl"), (JSON + b"bad\n", "jsonl"), (CSV, "csv")]
)
def test_kept_fields_are_json_beside_the_row(content: bytes, file_format: Literal["jsonl", "csv"]) -> None:
    kept = [row["undeclared_fields"] for row in rows(blocks(content, "keep", file_format))]
    one = 1 if file_format == "jsonl" else "1"
    assert [text and json.loads(text) for text in kept] == [{"n": one}, None, {"n": "x"}]


def test_refused_fields_quarantine_the_object_and_stop_the_csv_file() -> None:
    (block,) = blocks(JSON, "refuse", "jsonl")
    assert [(reject.line, str(reject.reason), reject.column) for reject in block.rejects] == [
        (1, "extra_field", "n"),
        (3, "extra_field", "n"),
    ]
    with pytest.raises(DataError, match="header"):
        blocks(CSV, "refuse", "csv")


def test_a_field_that_is_twice_there_is_no_row_also_where_it_is_ignored() -> None:
    (block,) = blocks(b'{"id":"1","n":1,"n":2}\n', "ignore", "jsonl")
    assert [str(reject.reason) for reject in block.rejects] == ["duplicate_field"]
