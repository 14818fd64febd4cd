"""CSV is read by records: what Python's reader finds in a file, each bad record kept as it stands."""

from __future__ import annotations

import csv
import io
import itertools
import random
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakeloop.sources.base import Block
from lakeloop.sources.formats.csv_grammar import CsvGrammar
from lakeloop.sources.formats.csv_records import CsvReader
from lakeloop.sources.formats.csv_rows import CsvRows
from lakeloop.spec.source import FilesSource

NAMES = ("id", "text", "more")
SOURCE = FilesSource(
    kind="files", path="{partition}", key="id", columns=dict.fromkeys(NAMES, "string"), format="csv"
)
HEADER = b"id,text,more\n"
LIMIT = 4000


def blocks(content: bytes, block_bytes: int = 256 * 1024, limit: int = LIMIT) -> list[Block]:
    grammar = CsvGrammar()
    reader = CsvReader(io.BytesIO(content), SOURCE, grammar, block_bytes=block_bytes, max_record_bytes=limit)
    header = reader.header()
    assert header is not None
    return list(reader.blocks(CsvRows(SOURCE, header, "test", grammar)))


def told(found: list[Block]) -> tuple[list[dict[str, Any]], list[tuple[int, int, str, str]]]:
    """The rows, and line, offset, reason and raw of each rejected record."""
    rows = [row for block in found for row in block.rows.to_pylist()]
    rejects = [
        (reject.line, reject.byte_offset, str(reject.reason), reject.raw)
        for block in found
        for reject in block.rejects
    ]
    return rows, rejects


def fields(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [[row[name] or "" for name in NAMES] for row in rows]


PARTS = st.sampled_from(
    [
        "a",
        "b c",
        ",",
        '"',
        '""',
        "\n",
        "\r\n",
        "\r",
        "é",
        "\u2028",
        "\x85",
        "漢",
        "🙂",
        " ",
        "1,2",
        '",',
        ',"',
        '"\n',
    ]
)
TEXTS = st.lists(PARTS, max_size=6).map("".join)
RECORDS = st.lists(st.tuples(st.just("k"), TEXTS, TEXTS), min_size=1, max_size=12).map(
    lambda records: [(f"k{number}", text, more) for number, (_, text, more) in enumerate(records)]
)
QUOTED = st.sampled_from(["all", "where needed"])
ENDS = st.sampled_from(["\n", "\r\n"])


def written(records: list[tuple[str, ...]], quoted: str, end: str) -> str:
    """CSV as RFC 4180 has it."""

    def field(text: str) -> str:
        needed = quoted == "all" or re.search(r'[",\r\n]', text)
        return '"' + text.replace('"', '""') + '"' if needed else text

    return "".join(",".join(map(field, record)) + end for record in records)


@settings(max_examples=300, deadline=None)
@given(RECORDS, QUOTED, ENDS, st.sampled_from([7, 40, 1 << 18]), st.booleans(), st.booleans())
def test_a_file_in_order_gives_the_rows_that_pythons_reader_gives(
    records: list[tuple[str, ...]], quoted: str, end: str, block_bytes: int, bom: bool, whole: bool
) -> None:
    body = written(records, quoted, end)
    if not whole:
        body = body.removesuffix(end)
    content = b"\xef\xbb\xbf" * bom + HEADER + body.encode()
    found = blocks(content, block_bytes)
    rows, rejects = told(found)
    assert not rejects
    assert fields(rows) == list(csv.reader(io.StringIO(body, newline="")))
    lines = 0
    for row, record in zip(rows, records, strict=True):
        assert row["source_line"] == 2 + lines
        lines += written([record], quoted, end).count("\n")
    assert sum(block.lines or block.read for block in found) == lines


@settings(max_examples=400, deadline=None)
@given(
    RECORDS, QUOTED, ENDS, st.integers(0, 400), st.sampled_from(['"', "\n", ",", "\r", "x", '"\n"', "\0"]),
    st.booleans(),
)  # fmt: skip
@example([("k0", 'said "no",\nk7,row,a\nBye', "a")], "where needed", "\n", 10, '"', True)
def test_damage_costs_what_is_damaged_and_makes_up_no_row(
    records: list[tuple[str, ...]], quoted: str, end: str, place: int, noise: str, put_in: bool
) -> None:
    body = written(records, quoted, end)
    place %= len(body)
    damaged = body[:place] + noise + body[place + (not put_in) :]
    content = HEADER + damaged.encode()
    results = [told(blocks(content, size)) for size in (7, 61, 1 << 18)]
    assert results[0] == results[1] == results[2]
    rows, rejects = results[0]
    # Each line of the file is in one row or in one rejected record.
    starts = [row["source_line"] for row in rows] + [line for line, *_ in rejects]
    assert len(starts) == len(set(starts))
    assert not starts or min(starts) == 2
    begin, until = lines_of_damaged(records, quoted, end, place)
    quotes = '"' in noise or (not put_in and body[place] == '"')
    for row in rows:
        if tuple(fields([row])[0]) not in records:
            assert begin <= row["source_line"]
            assert quotes or row["source_line"] < until
    text = content.decode()
    for _, offset, _, raw in rejects:
        assert text.encode()[offset:].decode().startswith(raw)


def lines_of_damaged(records: list[tuple[str, ...]], quoted: str, end: str, place: int) -> tuple[int, int]:
    """The first line of the record at `place`, and the line behind its last one, one more for the noise."""
    begin = 2
    for record in records:
        text = written([record], quoted, end)
        until = begin + text.count("\n")
        if place < len(text):
            return begin, until + 1
        begin, place = until, place - len(text)
    raise AssertionError


WORDS = 'loop,reads,a "drop",of rows\nand says,where\n,each,belongs,2,fake\n'.replace(",", " , ").split(" ")


@pytest.mark.parametrize("seed", range(60))
def test_a_quote_too_many_or_too_few_in_prose_makes_up_no_row_outside_of_its_record(seed: int) -> None:
    chance = random.Random(seed)
    records = [(f"k{number}", "said " + " ".join(chance.choices(WORDS, k=12)), "x") for number in range(40)]
    body = written(records, "where needed", "\n")
    place = chance.randrange(len(body))
    if seed % 2:
        place = body.index('"', place // 2)
        damaged = body[:place] + body[place + 1 :]
    else:
        damaged = body[:place] + '"' + body[place:]
    rows, rejects = told(blocks(HEADER + damaged.encode(), 300))
    begin, until = lines_of_damaged(records, "where needed", "\n", place)
    strange = [row for row in rows if tuple(fields([row])[0]) not in records]
    assert all(begin <= row["source_line"] < until for row in strange)
    assert len(rows) - len(strange) >= 38
    assert sum(raw.count("\n") + 1 for *_, raw in rejects) <= until - begin + 30


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(['"', '""', ",", "\n", "\r\n", "\r", "a", ""]), max_size=14).map("".join))
def test_the_grammar_says_the_same_of_a_block_and_of_its_records(text: str) -> None:
    grammar = CsvGrammar()
    block = f"{text}\n".encode()
    quotes, _, ends = grammar.line_ends(block)
    places, start = [], 0
    while start < len(block) and (end := grammar.record_end(block, start, len(block))):
        places.append(end - 1)
        start = end
    in_order = start == len(block)
    assert in_order == (len(ends) > 0 and ends[-1] == len(block) - 1 and grammar.is_strict(block, quotes))
    if in_order:
        assert places == ends.tolist()


CASES = [
    # A quote in a field without quotes, text behind a closing quote, a carriage return outside of quotes.
    ('1,a"b,c\n2,d,e\n', [(2, "broken_csv", '1,a"b,c')], ["2"]),
    ('1,"a"b,c\n2,d,e\n', [(2, "broken_csv", '1,"a"b,c')], ["2"]),
    ("1,a\rb,c\n2,d,e\n", [(2, "broken_csv", "1,a\rb,c")], ["2"]),
    # Blank lines are records that hold nothing; inside of quotes they are text.
    ('1,a,b\n\n2,"\n\n",e\n', [(3, "blank_line", "")], ["1", "2"]),
    # A quote that is never closed costs its line.
    ('1,"a,b\n2,d,e\n3,"f\ng",h\n', [(2, "broken_csv", '1,"a,b')], ["2", "3"]),
    # It is closed by no quote that begins a field of a good record.
    ('1,"a,b\n2,d,"e"\n3,f,g\n', [(2, "broken_csv", '1,"a,b')], ["2", "3"]),
    # The lines of a bad record are one record, also where one of them looks like a row.
    (
        '1,"He said "no",\nfake,row,a\nBye",b\n2,d,e\n',
        [(2, "broken_csv", '1,"He said "no",\nfake,row,a\nBye",b')],
        ["2"],
    ),
    ('1,"two\nlines"\n2,d,e\n', [(2, "column_count", '1,"two\nlines"')], ["2"]),
    ('"1","a","b"', [], ["1"]),
]


@pytest.mark.parametrize(("body", "rejected", "keys"), CASES)
@pytest.mark.parametrize("block_bytes", [5, 1 << 18])
def test_a_bad_record_is_kept_with_its_lines(
    body: str, rejected: list[tuple[int, str, str]], keys: list[str], block_bytes: int
) -> None:
    rows, rejects = told(blocks(HEADER + body.encode(), block_bytes))
    assert [(line, reason, raw) for line, _, reason, raw in rejects] == rejected
    assert [row["id"] for row in rows] == keys


def test_a_record_longer_than_the_limit_is_one_rejected_record_whose_lines_are_no_rows() -> None:
    text = "some words\n" * 2000 + "fake,row,a\n"
    content = HEADER + f'1,"{text}",x\n2,d,e\n'.encode()
    found = blocks(content, 1000)
    rows, rejects = told(found)
    assert [(row["id"], row["source_line"]) for row in rows] == [("2", 2004)]
    assert [(line, reason) for line, _, reason, _ in rejects] == [(2, "line_too_long")]
    assert len(rejects[0][3]) == LIMIT
    assert sum(block.read for block in found) == 2


def test_a_quote_that_is_open_for_long_among_rows_costs_its_line() -> None:
    content = HEADER + b'1,"a,b\n' + b"".join(b"k%d,some words,x\n" % number for number in range(5000))
    rows, rejects = told(blocks(content, 1000))
    assert len(rows) == 5000
    assert [(line, raw) for line, _, _, raw in rejects] == [(2, '1,"a,b')]


def test_a_long_line_without_a_quote_is_one_record() -> None:
    rows, rejects = told(blocks(HEADER + b"1," + b"x" * 100_000 + b",y\n2,d,e", 1000))
    assert [(line, reason) for line, _, reason, _ in rejects] == [(2, "line_too_long")]
    assert [(row["id"], row["source_line"]) for row in rows] == [("2", 3)]


def test_a_header_may_have_lines_in_its_names() -> None:
    grammar = CsvGrammar()
    reader = CsvReader(io.BytesIO(b'id,"a\nb"\n1,2\n'), SOURCE, grammar)
    header = reader.header()
    assert header is not None
    assert grammar.split(header) == ["id", "a\nb"]
    rows, _ = told(list(reader.blocks(CsvRows(SOURCE, header, "test", grammar))))
    assert [row["source_line"] for row in rows] == [3]


def test_a_field_that_begins_with_a_byte_order_mark_keeps_it_wherever_it_is() -> None:
    content = HEADER + "\ufeff1,a,b\n\ufeff2,c,d\n".encode()
    for size in (5, 13, 1 << 18):
        rows, _ = told(blocks(content, size))
        assert [row["id"] for row in rows] == ["\ufeff1", "\ufeff2"]


@pytest.mark.parametrize(
    ("record", "detail"),
    [
        ('1,"a', "field 2 (text): the quote is not closed"),
        ('1,a,b"c', "field 3 (more): a quote inside of a field that does not begin with one"),
        ('"1"2,a,b', "field 1 (id): text after the closing quote: '2,a,b'"),
        ("1,a\rb,c", "field 2 (text): a carriage return outside of quotes"),
    ],
)
def test_the_detail_names_the_field_and_what_is_wrong_with_it(record: str, detail: str) -> None:
    (block,) = blocks(HEADER + record.encode())
    assert [reject.detail for reject in block.rejects] == [detail]
    assert block.rejects[0].column == re.findall(r"\((\w+)\)", detail)[0]


def test_other_delimiters_and_quotes_have_the_same_grammar() -> None:
    for delimiter, quote in itertools.product(";\t|^]-\\", ("'", '"', "~")):
        grammar = CsvGrammar(delimiter, quote)
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=delimiter, quotechar=quote, lineterminator="\n")
        wanted = ["a", f"b{delimiter}{quote}c", "d\ne", ""]
        writer.writerow(wanted)
        record = out.getvalue()
        assert grammar.record_end(record.encode(), 0, len(record)) == len(record)
        assert grammar.split(record.removesuffix("\n")) == wanted
        assert grammar.is_strict(record.encode(), grammar.line_ends(record.encode())[0])
