"""The line reader: every line becomes a row or a reject, whatever is in it and wherever blocks are cut."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import CountsError, DataError
from lakeloop.sources.json_lines import JsonLines
from lakeloop.sources.lines import Format, LineReader
from lakeloop.sources.rejects import Reject
from lakeloop.spec.models import ColumnType

COLUMNS: dict[str, ColumnType] = {
    "id": "string",
    "text": "string",
    "n": "integer",
    "x": "number",
    "ok": "boolean",
    "at": "timestamp",
    "day": "date",
}
GOOD = (
    b'{"id": "1", "text": "caf\xc3\xa9", "n": 7, "x": 2, "ok": true, '
    b'"at": "2026-11-20T10:00:00+02:00", "day": "2026-11-20"}'
)

BAD_JSON = [
    (b"", "blank_line"),
    (b" \t", "blank_line"),
    (b'{"id": "1"', "broken_json"),
    (b'{"id": "1"},', "broken_json"),
    (b'{"id": "1",}', "broken_json"),
    (b"{'id': '1'}", "broken_json"),
    (b'{"id": "1"}{"id": "2"}', "broken_json"),
    (b'{"id": "1", "x": NaN}', "broken_json"),
    (b'{"id": "1", "n": 01}', "broken_json"),
    (b'{"id": "a\tb"}', "broken_json"),
    (b"[" * 100_000, "broken_json"),
    (b'{"id": "1", "n": ' + b"9" * 5000 + b"}", "broken_json"),
    (b'["1"]', "not_an_object"),
    (b"null", "not_an_object"),
    (b'{"id": "1", "id": "1"}', "duplicate_field"),
    (b'{"id": "1", "colour": "red"}', "extra_field"),
    (b'{"id": "1", "\\ud800": 1}', "extra_field"),
    (b'{"text": "no key"}', "missing_key"),
    (b"{}", "missing_key"),
    (b'{"id": null}', "null_key"),
    (b'{"id": ""}', "null_key"),
    (b'{"id": 1}', "wrong_type"),
    (b'{"id": {"id": "1"}}', "wrong_type"),
    (b'{"id": "1", "text": 5}', "wrong_type"),
    (b'{"id": "1", "text": ["a"]}', "wrong_type"),
    (b'{"id": "1", "n": 1.0}', "wrong_type"),
    (b'{"id": "1", "n": "1"}', "wrong_type"),
    (b'{"id": "1", "n": true}', "wrong_type"),
    (b'{"id": "1", "n": 9223372036854775808}', "wrong_type"),
    (b'{"id": "1", "x": 1e999}', "wrong_type"),
    (b'{"id": "1", "x": false}', "wrong_type"),
    (b'{"id": "1", "ok": 1}', "wrong_type"),
    (b'{"id": "1", "ok": "true"}', "wrong_type"),
    (b'{"id": "1", "at": "2026-02-30"}', "wrong_type"),
    (b'{"id": "1", "at": "yesterday"}', "wrong_type"),
    (b'{"id": "1", "at": 1763632800}', "wrong_type"),
    (b'{"id": "1", "at": "0001-01-01T00:00+01:00"}', "wrong_type"),
    (b'{"id": "1", "day": "2026-11-20T10:00:00Z"}', "wrong_type"),
    (b'{"id": "\xff"}', "bad_utf8"),
    (b'{"id": "\xc3"}', "bad_utf8"),
    (b'{"id": "1", "text": "\\ud83d"}', "bad_utf8"),
    (b'{"id": "a\0b"}', "nul_byte"),
    (b"\0" * 100, "nul_byte"),
    (b'{"id": "1", "text": "a\\u0000b"}', "nul_byte"),
    (b'{"id": "' + b"x" * 200_000 + b'"}', "line_too_long"),
]

CSV_HEADER = b"id,text,n,at"
BAD_CSV = [
    (b"", "blank_line"),
    (b"1,a,2", "column_count"),
    (b"1,a,2,2026-11-20,more", "column_count"),
    (b'1,"a,2,2026-11-20', "broken_csv"),
    (b'1,a"b,2,2026-11-20', "broken_csv"),
    (b'1,"a"b,2,2026-11-20', "broken_csv"),
    (b"1,a\rb,2,2026-11-20", "broken_csv"),
    (b"1,a,two,2026-11-20", "wrong_type"),
    (b"1,a, 2,2026-11-20", "wrong_type"),
    (b"1,a,2.0,2026-11-20", "wrong_type"),
    (b"1,a,2,20.11.2026", "wrong_type"),
    (b",a,2,2026-11-20", "null_key"),
    (b'"",a,2,2026-11-20', "null_key"),
    (b"1,\xff,2,2026-11-20", "bad_utf8"),
    (b"1,\0,2,2026-11-20", "nul_byte"),
]


def read(
    path: Path, content: bytes, *, file_format: Format = "jsonl", block_bytes: int = 256 * 1024
) -> tuple[list[dict[str, Any]], list[Reject], LineReader]:
    path.write_bytes(content)
    reader = LineReader(
        path, COLUMNS, key="id", file_format=file_format, block_bytes=block_bytes, max_line_bytes=150_000
    )
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for block in reader:
        rows += block.rows.to_pylist()
        rejects += block.rejects
    return rows, rejects, reader


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    return tmp_path / "drop"


def test_values_are_typed(drop: Path) -> None:
    rows, rejects, _ = read(drop, GOOD + b"\n" + b'{"id": "2"}\n')
    assert not rejects
    assert rows[0] == {
        "id": "1",
        "text": "café",
        "n": 7,
        "x": 2.0,
        "ok": True,
        "at": datetime(2026, 11, 20, 8, tzinfo=UTC),
        "day": date(2026, 11, 20),
        "source_line": 1,
    }
    assert rows[1] == {"id": "2", **dict.fromkeys(list(COLUMNS)[1:]), "source_line": 2}


@pytest.mark.parametrize(("line", "reason"), BAD_JSON, ids=lambda value: str(value)[:40])
def test_a_bad_line_is_rejected_for_its_reason_and_its_neighbours_stay(
    drop: Path, line: bytes, reason: str
) -> None:
    rows, rejects, reader = read(drop, GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    assert [row["source_line"] for row in rows] == [1, 3]
    assert [(reject.line, reject.byte_offset, str(reject.reason)) for reject in rejects] == [
        (2, len(GOOD) + 1, reason)
    ]
    assert (reader.lines, reader.accepted, reader.rejected) == (3, 2, 1)


@pytest.mark.parametrize(("line", "reason"), BAD_CSV, ids=lambda value: str(value)[:40])
def test_a_bad_csv_line_is_rejected_for_its_reason(drop: Path, line: bytes, reason: str) -> None:
    good = b'1,"a ""quoted"", text",2,2026-11-20'
    content = CSV_HEADER + b"\n" + good + b"\n" + line + b"\n" + good + b"\n"
    rows, rejects, reader = read(drop, content, file_format="csv")
    assert [(row["source_line"], row["text"]) for row in rows] == [
        (2, 'a "quoted", text'),
        (4, 'a "quoted", text'),
    ]
    assert [(reject.line, str(reject.reason)) for reject in rejects] == [(3, reason)]
    assert rejects[0].byte_offset == len(CSV_HEADER) + len(good) + 2
    assert reader.lines == 3


@pytest.mark.parametrize("block_bytes", [16, 61, 1000, 256 * 1024])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", ["with", "without"])
def test_where_blocks_are_cut_changes_nothing(
    drop: Path, block_bytes: int, line_end: bytes, start: bytes, end: str
) -> None:
    lines = [GOOD, *(line for line, _ in BAD_JSON if len(line) < 10_000), GOOD, b'{"id": "last"}']
    content = start + line_end.join(lines) + (line_end if end == "with" else b"")
    rows, rejects, reader = read(drop, content, block_bytes=block_bytes)
    assert [row["source_line"] for row in rows] == [1, len(lines) - 1, len(lines)]
    assert [reject.line for reject in rejects] == list(range(2, len(lines) - 1))
    assert reader.lines == len(lines)
    assert reader.sha256 == hashlib.sha256(content).hexdigest()
    for reject in rejects:
        line = lines[reject.line - 1]
        assert content[reject.byte_offset :].startswith(line + line_end)


@pytest.mark.parametrize("length", [150_001, 1_000_000])
@pytest.mark.parametrize("end", [b"\n", b'\n{"id": "2"}\n', b""])
def test_a_line_longer_than_a_block_is_rejected_cut_and_counted(drop: Path, length: int, end: bytes) -> None:
    rows, rejects, reader = read(drop, b"x" * length + end, block_bytes=1000)
    assert [len(reject.raw) for reject in rejects] == [150_000]
    assert f"{length} bytes" in rejects[0].detail
    assert [(row["id"], row["source_line"]) for row in rows] == ([("2", 2)] if len(end) > 1 else [])
    assert reader.lines == 1 + len(rows)


def test_the_raw_line_gives_every_byte_back(drop: Path) -> None:
    every_byte = bytes(range(256)).replace(b"\n", b"")
    _, rejects, _ = read(drop, every_byte + b"\n")
    escaped = rejects[0].raw
    assert escaped.encode("latin-1").decode("unicode_escape").encode("latin-1") == every_byte


def test_a_reject_names_column_and_key_where_they_are_known(drop: Path) -> None:
    _, rejects, _ = read(drop, b'{"id": "k1", "n": "many"}\n')
    assert (rejects[0].column, rejects[0].row_key) == ("n", "k1")
    assert rejects[0].detail == "n: expected integer, found string"
    assert rejects[0].raw == '{"id": "k1", "n": "many"}'


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_an_empty_file_has_no_lines(drop: Path, content: bytes, file_format: Format) -> None:
    assert read(drop, content, file_format=file_format)[2].lines == 0


def test_a_csv_header_alone_has_no_lines(drop: Path) -> None:
    assert read(drop, CSV_HEADER, file_format="csv")[2].lines == 0


@pytest.mark.parametrize("header", [b"text,n", b"id,id", b"id,colour", b'id,"text', b"\xff", b"x" * 300_000])
def test_a_csv_with_another_header_is_refused_whole(drop: Path, header: bytes) -> None:
    with pytest.raises(DataError, match="header"):
        read(drop, header + b"\n1,2\n", file_format="csv")


def test_a_csv_may_leave_out_columns_and_order_them_anew(drop: Path) -> None:
    rows, _, _ = read(drop, b'n,id\r\n5,"a"\r\n,b\r\n', file_format="csv")
    assert [(row["id"], row["n"], row["text"]) for row in rows] == [("a", 5, None), ("b", None, None)]


def test_a_parser_that_loses_a_row_is_caught(drop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = JsonLines.parse_block

    def one_short(self: JsonLines, block: bytes, lines: int) -> Any:
        columns = whole(self, block, lines)
        return [column.slice(1) for column in columns] if columns else columns

    monkeypatch.setattr(JsonLines, "parse_block", one_short)
    with pytest.raises((CountsError, ValueError)):
        read(drop, json.dumps({"id": "1"}).encode() + b"\n" + b'{"id": "2"}\n')
