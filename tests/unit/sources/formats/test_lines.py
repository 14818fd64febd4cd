"""The line reader: every line becomes a row or a reject, whatever is in it and wherever blocks are cut."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from typing import Any, Literal

import pytest

from lakeloop.errors import CountsError, DataError
from lakeloop.sources.base import Block
from lakeloop.sources.formats.blocks import SLOW_RECORDS
from lakeloop.sources.formats.csv_grammar import CsvGrammar
from lakeloop.sources.formats.csv_records import CsvReader
from lakeloop.sources.formats.csv_rows import CsvRows, read_csv
from lakeloop.sources.formats.json_lines import JsonLines, read_json_lines
from lakeloop.sources.formats.lines import LineReader
from lakeloop.sources.rejects import Reject
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.source import FilesSource

Format = Literal["jsonl", "csv"]

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
    (b'{"id": "1", "n": 1.5}', "wrong_type"),
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
    (b"1,a,2.5,2026-11-20", "wrong_type"),
    (b"1,a,2,20.11.2026", "wrong_type"),
    (b",a,2,2026-11-20", "null_key"),
    (b'"",a,2,2026-11-20', "null_key"),
    (b"1,\xff,2,2026-11-20", "bad_utf8"),
    (b"1,\0,2,2026-11-20", "nul_byte"),
]


def source(file_format: Format = "jsonl") -> FilesSource:
    return FilesSource(
        kind="files", path="{partition}", key="id", columns=COLUMNS, format=file_format, undeclared="refuse"
    )


def blocks_of(content: bytes, file_format: Format = "jsonl", block_bytes: int = 256 * 1024) -> list[Block]:
    """As the readers of the formats give them, but with blocks and lines of other lengths."""
    declared = source(file_format)
    file = io.BytesIO(content)
    if file_format == "jsonl":
        reader = LineReader(file, declared, block_bytes=block_bytes, max_line_bytes=150_000)
        return list(reader.blocks(JsonLines(declared)))
    grammar = CsvGrammar()
    records = CsvReader(file, declared, grammar, block_bytes=block_bytes, max_record_bytes=150_000)
    header = records.header()
    return [] if header is None else list(records.blocks(CsvRows(declared, header, "test", grammar)))


def read(
    content: bytes, *, file_format: Format = "jsonl", block_bytes: int = 256 * 1024
) -> tuple[list[dict[str, Any]], list[Reject], int]:
    """Rows, rejected lines, and how many lines were read."""
    blocks = blocks_of(content, file_format, block_bytes)
    rows = [row for block in blocks for row in block.rows.to_pylist()]
    rejects = [reject for block in blocks for reject in block.rejects]
    return rows, rejects, sum(block.read for block in blocks)


def test_values_are_typed() -> None:
    rows, rejects, _ = read(GOOD + b"\n" + b'{"id": "2"}\n')
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
def test_a_bad_line_is_rejected_for_its_reason_and_its_neighbours_stay(line: bytes, reason: str) -> None:
    rows, rejects, count = read(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    assert [row["source_line"] for row in rows] == [1, 3]
    assert [(reject.line, reject.byte_offset, str(reject.reason)) for reject in rejects] == [
        (2, len(GOOD) + 1, reason)
    ]
    assert count == 3


@pytest.mark.parametrize(("line", "reason"), BAD_CSV, ids=lambda value: str(value)[:40])
def test_a_bad_csv_line_is_rejected_for_its_reason(line: bytes, reason: str) -> None:
    good = b'1,"a ""quoted"", text",2,2026-11-20'
    content = CSV_HEADER + b"\n" + good + b"\n" + line + b"\n" + good + b"\n"
    rows, rejects, count = read(content, file_format="csv")
    assert [(row["source_line"], row["text"]) for row in rows] == [
        (2, 'a "quoted", text'),
        (4, 'a "quoted", text'),
    ]
    assert [(reject.line, str(reject.reason)) for reject in rejects] == [(3, reason)]
    assert rejects[0].byte_offset == len(CSV_HEADER) + len(good) + 2
    assert count == 3


@pytest.mark.parametrize("block_bytes", [16, 61, 1000, 256 * 1024])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", ["with", "without"])
def test_where_blocks_are_cut_changes_nothing(
    block_bytes: int, line_end: bytes, start: bytes, end: str
) -> None:
    lines = [GOOD, *(line for line, _ in BAD_JSON if len(line) < 10_000), GOOD, b'{"id": "last"}']
    content = start + line_end.join(lines) + (line_end if end == "with" else b"")
    rows, rejects, count = read(content, block_bytes=block_bytes)
    assert [row["source_line"] for row in rows] == [1, len(lines) - 1, len(lines)]
    assert [reject.line for reject in rejects] == list(range(2, len(lines) - 1))
    assert count == len(lines)
    for reject in rejects:
        line = lines[reject.line - 1]
        assert content[reject.byte_offset :].startswith(line + line_end)


@pytest.mark.parametrize("length", [150_001, 1_000_000])
@pytest.mark.parametrize("end", [b"\n", b'\n{"id": "2"}\n', b""])
def test_a_line_longer_than_a_block_is_rejected_cut_and_counted(length: int, end: bytes) -> None:
    rows, rejects, count = read(b"x" * length + end, block_bytes=1000)
    assert [len(reject.raw) for reject in rejects] == [150_000]
    assert f"{length} bytes" in rejects[0].detail
    assert [(row["id"], row["source_line"]) for row in rows] == ([("2", 2)] if len(end) > 1 else [])
    assert count == 1 + len(rows)


def test_the_raw_line_gives_every_byte_back() -> None:
    every_byte = bytes(range(256)).replace(b"\n", b"")
    _, rejects, _ = read(every_byte + b"\n")
    escaped = rejects[0].raw
    assert escaped.encode("latin-1").decode("unicode_escape").encode("latin-1") == every_byte


def test_a_reject_names_column_and_key_where_they_are_known() -> None:
    _, rejects, _ = read(b'{"id": "k1", "n": "many"}\n')
    assert (rejects[0].column, rejects[0].row_key) == ("n", "k1")
    assert rejects[0].detail == 'n: expected integer, found string "many"'
    assert rejects[0].raw == '{"id": "k1", "n": "many"}'


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_an_empty_file_has_no_lines(content: bytes, file_format: Format) -> None:
    assert read(content, file_format=file_format)[2] == 0


def test_a_csv_header_alone_has_no_lines() -> None:
    assert read(CSV_HEADER, file_format="csv")[2] == 0


@pytest.mark.parametrize("header", [b"text,n", b"id,id", b"id,colour", b'id,"text', b"\xff", b"x" * 300_000])
def test_a_csv_with_another_header_is_refused_whole(header: bytes) -> None:
    with pytest.raises(DataError, match="header"):
        read(header + b"\n1,2\n", file_format="csv")


def test_a_csv_may_leave_out_columns_and_order_them_anew() -> None:
    rows, _, _ = read(b'n,id\r\n5,"a"\r\n,b\r\n', file_format="csv")
    assert [(row["id"], row["n"], row["text"]) for row in rows] == [("a", 5, None), ("b", None, None)]


def test_a_parser_that_loses_a_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = JsonLines.parse_block

    def one_short(self: JsonLines, block: bytes, lines: int) -> Any:
        columns = whole(self, block, lines)
        return [column.slice(1) for column in columns] if columns else columns

    monkeypatch.setattr(JsonLines, "parse_block", one_short)
    with pytest.raises((CountsError, ValueError)):
        read(json.dumps({"id": "1"}).encode() + b"\n" + b'{"id": "2"}\n')


def test_the_readers_of_the_formats_read_whole_files() -> None:
    lines = read_json_lines(io.BytesIO(GOOD + b"\nbad\n"), "drop.jsonl", source())
    assert [(block.rows.num_rows, len(block.rejects), block.read) for block in lines] == [(1, 1, 2)]
    records = read_csv(io.BytesIO(b"id,n\na,1\nb,x\n"), "drop.csv", source("csv"))
    assert [(block.rows.num_rows, len(block.rejects), block.read) for block in records] == [(1, 1, 2)]
    assert list(read_csv(io.BytesIO(b""), "drop.csv", source("csv"))) == []
    with pytest.raises(DataError, match="header") as caught:
        list(read_csv(io.BytesIO(b"a,b\n"), "drop.csv", source("csv")))
    assert caught.value.where == "drop.csv, line 1"


@pytest.mark.parametrize(
    ("line", "reads"),
    [(b"", [10_000, 1]), (b" ", [SLOW_RECORDS] * 4 + [10_001 - 4 * SLOW_RECORDS])],
    ids=["empty", "blank"],
)
def test_bad_lines_come_in_blocks_of_their_own_however_short_they_are(line: bytes, reads: list[int]) -> None:
    blocks = blocks_of((line + b"\n") * 10_000 + GOOD + b"\n")
    assert [block.read for block in blocks] == reads
    rejects = [reject for block in blocks for reject in block.rejects]
    places = [(n + 1, n * (len(line) + 1)) for n in range(10_000)]
    assert [(reject.line, reject.byte_offset) for reject in rejects] == places
    assert blocks[-1].rows["source_line"].to_pylist() == [10_001]
