"""What Arrow accepts for a block is what the line-by-line path accepts, value by value."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakeloop.lake.tables import ARROW_TYPES
from lakeloop.sources.formats.blocks import BlockMaker, Parser
from lakeloop.sources.formats.csv_grammar import CsvGrammar
from lakeloop.sources.formats.csv_records import without_line_end
from lakeloop.sources.formats.csv_rows import CsvRows
from lakeloop.sources.formats.json_lines import JsonLines
from lakeloop.sources.rejects import LineError
from lakeloop.sources.values import cast, parse
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.source import FilesSource

COLUMNS: dict[str, ColumnType] = {
    "id": "string",
    "n": "integer",
    "x": "number",
    "ok": "boolean",
    "at": "timestamp",
    "day": "date",
}

SOURCE = FilesSource(kind="files", path="{partition}", key="id", columns=COLUMNS, undeclared="refuse")

EDGES = """
    0 -0 -0.0 1 01 +1 1.0 1. .5 1e5 1E+5 1e 1e-400 1e400 -1e400 NaN Infinity -Infinity nan inf 0x10 1_000 1,5
    9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 0.1 1e22 1e23 8.41
    123456789012345678901234567890 2.5e-3 5e-324 2.2250738585072011e-308 \u0661
"""
NUMBERS = st.sampled_from(EDGES.split()) | st.floats().map(repr) | st.integers().map(str)
MOMENTS = st.from_regex(
    r"(0000|0001|1969|2026|9999|10000)-(01|02|11|12|13|1)-(00|01|29|30|31)"
    r"([T t ]([012][0-9]):(00|30|59|60)(:(00|59|60)((\.|,)[0-9]{0,7})?)?"
    r"(Z|z|[+-][0-9]{2}:?[0-9]{0,2})?)?[ ]?",
    fullmatch=True,
)
WORDS = st.sampled_from(
    ["true", "false", "True", "TRUE", "tRue", "null", "", " ", "a", "ﬁ", "1", "\u2028", "é"]
)
FORMS = st.builds(
    "2026-{}-{}{}{}:{}{}{}{}".format,
    st.sampled_from(["02", "11", "13"]),
    st.sampled_from(["01", "28", "30"]),
    st.sampled_from(["T", "t", " ", "_"]),
    st.sampled_from(["00", "23", "24"]),
    st.sampled_from(["00", "59", "60"]),
    st.sampled_from(["", ":00", ":59", ":60"]),
    st.sampled_from(["", ".1", ",25", ".123456", ".123456789", "."]),
    st.sampled_from(["", "Z", "z", "+00:00", "-0000", "+0530", "-11", "+24:00", "+1", "+9999", " Z"]),
)
"""Times in the forms of RFC 3339 and ISO 8601, and some that are none."""
TEXTS = (
    FORMS | NUMBERS | MOMENTS | WORDS | st.text(max_size=5) | st.datetimes().map(str) | st.dates().map(str)
)


def slowly(parser: Parser, block: bytes) -> list[dict[str, Any]] | None:
    """The rows of a block line by line, or None when a line is rejected."""
    maker = BlockMaker(SOURCE)
    try:
        return [maker.row(parser, line.removesuffix(b"\r")) for line in block.split(b"\n")[:-1]]
    except LineError:
        return None


def quickly(parser: Parser, block: bytes) -> list[dict[str, Any]] | None:
    columns = parser.parse_block(block, block.count(b"\n"))
    if columns is None:
        return None
    return _rows(columns)


def _rows(columns: list[pa.Array]) -> list[dict[str, Any]] | None:
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in COLUMNS.items()])
    rows: list[dict[str, Any]] = pa.RecordBatch.from_arrays(columns, schema=schema).to_pylist()
    # The reader itself sends blocks with such keys the slow way.
    return None if any(row["id"] in (None, "") for row in rows) else rows


def records_of(block: bytes) -> list[bytes] | None:
    """The records of a block, when the grammar accepts all of it."""
    grammar = CsvGrammar()
    quotes, _, ends = grammar.line_ends(block)
    if not len(ends) or ends[-1] != len(block) - 1 or not grammar.is_strict(block, quotes):
        return None
    places = [0, *(int(end) + 1 for end in ends)]
    return [block[start:end] for start, end in itertools.pairwise(places)]


def assert_same_csv(parser: Parser, block: bytes) -> None:
    records = records_of(block)
    if records is None:
        return
    columns = parser.parse_block(block, len(records))
    quick = None if columns is None else _rows(columns)
    if quick is not None:
        maker = BlockMaker(SOURCE)
        slow = [maker.row(parser, without_line_end(record)) for record in records]
        assert repr(quick) == repr(_as_arrow(slow))


def assert_same(parser: Parser, block: bytes) -> None:
    quick = quickly(parser, block)
    if quick is not None:
        assert repr(quick) == repr(_as_arrow(slowly(parser, block)))


def _as_arrow(rows: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    if rows is None:
        return None
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in COLUMNS.items()])
    result: list[dict[str, Any]] = pa.RecordBatch.from_pylist(rows, schema).to_pylist()
    return result


JSON_VALUES = (
    NUMBERS
    | TEXTS.map(json.dumps)
    | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False))
    | st.sampled_from(
        [
            "null",
            "true",
            "false",
            "{}",
            "[]",
            '{"a":{}',
            '"\\ud800"',
            '"\\ud83d\\ude00"',
            '"\\u0000"',
            '"a\tb"',
            '"',
        ]
    )
)
BLANKS = st.sampled_from(["", "", "", " ", "\t", "\r", "\n", "\f", "\u00a0", "\v"])
JSON_FIELDS = st.tuples(
    BLANKS, st.sampled_from([*(json.dumps(name) for name in COLUMNS), '"extra"', '"\\u0069d"', "id"]), BLANKS,
    JSON_VALUES, BLANKS,
).map(lambda parts: f"{parts[0]}{parts[1]}{parts[2]}:{parts[3]}{parts[4]}")  # fmt: skip
JSON_OBJECTS = st.lists(JSON_FIELDS, max_size=3).map(
    lambda fields: "{" + ",".join(['"id":"k"', *fields]) + "}"
)
JSON_LINES = st.lists(
    JSON_OBJECTS
    | st.tuples(JSON_OBJECTS, BLANKS, JSON_OBJECTS).map("".join)
    | st.sampled_from(["", " ", "{}", '{"id":"k"', '"n":1}', '{"id":""}', "//{}", "{}{}", '{"id":', '"k"}']),
    min_size=1,
    max_size=4,
)


@settings(max_examples=400, deadline=None)
@given(JSON_LINES, st.sampled_from(["\n", "\r\n"]))
@example(['{"id":"a"}{"id":"b"}', ""], "\n")
@example(['{"id":', '"a"}', '{"id":"b"}{"id":"c"}'], "\n")
@example(['{"id":"a","id":"b"}'], "\n")
@example(['{"id":"a","x":-0}'], "\n")
@example(['{"id":"a","n":-0}'], "\n")
def test_json_blocks(lines: list[str], line_end: str) -> None:
    block = (line_end.join(lines) + "\n").encode("utf-8", "surrogatepass")
    assert_same(JsonLines(SOURCE), block)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=8), st.integers(0, 60))
def test_json_blocks_with_bytes_put_in(noise: bytes, place: int) -> None:
    block = b'{"id":"a","n":1,"at":"2026-11-20"}\n{"id":"b","x":0.5,"ok":true}\n'
    assert_same(JsonLines(SOURCE), block[:place] + noise + block[place:])


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


CSV_FIELDS = (
    TEXTS
    | TEXTS.map(_quoted)
    | st.sampled_from(['"a', 'a"', '"a"b', '""', '"a""b"', '"a,b"', '"a\rb"', '"a\nb"', '"\r\n"', '"\n"'])
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.lists(CSV_FIELDS, min_size=5, max_size=5).map(lambda fields: ",".join(["k", *fields]))
        | st.lists(CSV_FIELDS, max_size=7).map(",".join),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
@example(['k,"a', '1",1,true,2026-11-20,2026-11-20'], "\n")
@example(["k,,,,,"], "\r\n")
@example(["k,,,,,\rj,,,,,", ""], "\n")
def test_csv_blocks(lines: list[str], line_end: str) -> None:
    block = (line_end.join(lines) + "\n").encode("utf-8", "surrogatepass")
    assert_same_csv(CsvRows(SOURCE, ",".join(COLUMNS), "test", CsvGrammar()), block)


@settings(max_examples=200, deadline=None)
@given(st.lists(BLANKS | TEXTS | TEXTS.map(_quoted), min_size=1, max_size=3), st.sampled_from(["\n", "\r\n"]))
@example(["a", "  ", "b"], "\n")
@example(["a", " \t"], "\r\n")
@example(["a", '"  "'], "\n")
def test_csv_blocks_with_the_key_only(lines: list[str], line_end: str) -> None:
    block = (line_end.join(lines) + line_end).encode("utf-8", "surrogatepass")
    assert_same_csv(CsvRows(SOURCE, "id", "test", CsvGrammar()), block)


@settings(max_examples=600, deadline=None)
@given(TEXTS, st.sampled_from(["integer", "number", "boolean", "timestamp", "date"]))
def test_a_column_of_texts_is_cast_as_its_values_are_parsed(text: str, kind: ColumnType) -> None:
    try:
        column = pa.array([text, None], pa.string())
    except UnicodeEncodeError:
        return
    quick = cast(column, kind)
    try:
        value = parse(text, kind)
    except ValueError:
        assert quick is None
    else:
        if quick is None:
            rare = re.match(r"[0-9]{4}-?(W|[0-9]{3}(T|$))", text)
            large = isinstance(value, float) and abs(value) >= 2**53  # each is looked at: is it rounded?
            assert rare or large, "the quick path could have done this"
            return
        assert repr(quick.to_pylist()) == repr(pa.array([value, None], ARROW_TYPES[kind]).to_pylist())


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"id": st.text(min_size=1), "n": st.none() | st.integers(-9, 9)}), min_size=1
    )
)
def test_plain_rows_take_the_fast_path(rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if any("\0" in row["id"] or "\\u0000" in line for row, line in zip(rows, lines, strict=True)):
        return
    try:
        block = "".join(f"{line}\n" for line in lines).encode()
    except UnicodeEncodeError:
        return
    quick = quickly(JsonLines(SOURCE), block)
    assert quick is not None
    assert [(row["id"], row["n"]) for row in quick] == [(row["id"], row["n"]) for row in rows]
