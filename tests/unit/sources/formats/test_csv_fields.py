"""Columns by the places of delimiters are the fields of each record."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.sources.formats.csv_fields import columns_of_text
from lakeloop.sources.formats.csv_grammar import CsvGrammar

FIELDS = st.lists(st.text(st.sampled_from("ab é\u2028;"), max_size=4), min_size=1, max_size=3)
RECORDS = st.lists(st.tuples(FIELDS, st.sampled_from(["\n", "\r\n"])), min_size=1)


@pytest.mark.parametrize("grammar", [CsvGrammar(), CsvGrammar(";", None)])
def test_the_texts_are_those_of_the_fields_and_an_empty_one_is_null(grammar: CsvGrammar) -> None:
    met = set()

    @settings(max_examples=400, deadline=None)
    @given(RECORDS)
    def holds(written: list[tuple[list[str], str]]) -> None:
        lines = [grammar.delimiter.join(fields) for fields, _ in written]
        records = [grammar.split(line) or [] for line in lines]
        block = "".join(line + end for line, (_, end) in zip(lines, written, strict=True)).encode()
        fields = len(records[0])
        wanted = list(range(fields))[::-1]
        found = columns_of_text(block, grammar.delimiter, fields, len(records), wanted)
        met.add(found is not None)
        assert (found is not None) == ({len(record) for record in records} == {fields})
        for number, column in zip(wanted, found or (), strict=bool(found)):
            column.validate(full=True)
            assert column.to_pylist() == [record[number] or None for record in records]

    holds()
    assert met == {True, False}


@pytest.mark.parametrize(
    ("block", "fields"),
    [(b"a,b\nc\n", 2), (b"a\nb,c\n", 2), (b"a,b,c\nd\n", 2), (b"a,b\n", 3), (b"\na,b\n", 2)],
)
def test_records_with_more_or_fewer_fields_are_none_of_ours(block: bytes, fields: int) -> None:
    assert columns_of_text(block, ",", fields, block.count(b"\n"), [0]) is None
