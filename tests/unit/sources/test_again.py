"""Records read again are the bytes that stand in the file, from their first line to their end."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.sources import again
from lakeloop.sources.again import RawRecord, records_at


def found(content: bytes, *lines: int, quote: str | None = None) -> list[tuple[int, int, str]]:
    records: list[RawRecord] = list(records_at(io.BytesIO(content), lines, quote))
    return [(record.line, record.byte_offset, record.raw) for record in records]


def test_lines_are_found_with_their_offsets() -> None:
    content = b'{"a": 1}\r\n{"b": "\xc3\xa9\xe2\x80\xa8"}\n\nlast'
    assert found(content, 1, 2, 4, 9) == [(1, 0, '{"a": 1}'), (2, 10, '{"b": "é\u2028"}'), (4, 26, "last")]
    assert found(content) == []
    assert found(b"", 1) == []


def test_a_byte_order_mark_is_not_part_of_the_first() -> None:
    assert found(b"\xef\xbb\xbfone\ntwo\n", 1, 2) == [(1, 3, "one"), (2, 7, "two")]


def test_bytes_that_are_no_text_can_be_had_back() -> None:
    assert found(b"ok\n\xff\\\n", 2) == [(2, 3, "\\xff\\\\")]


def test_a_line_longer_than_what_is_read_at_once_is_one() -> None:
    content = b"first\n" + b"x" * (3 << 20) + b"\nlast\n"
    assert found(content, 3) == [(3, 7 + (3 << 20), "last")]
    assert len(found(content, 2)[0][2]) == 3 << 20


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_in_quotes_belong_to_the_record(end: str) -> None:
    records = ["id,text", '1,"one', 'two ""quoted"" ', '"', "2,three"]
    content = end.join([*records, ""]).encode()
    assert [raw for _, _, raw in found(content, 2, 5, quote='"')] == [end.join(records[1:4]), "2,three"]
    assert [raw for _, _, raw in found(content, 2, quote=None)] == ['1,"one']


def test_a_line_within_a_record_is_none_of_its_own() -> None:
    content = b'1,"one\ntwo\nthree"\n2,four\n'
    assert [raw for _, _, raw in found(content, 1, 2, 3, 4, quote='"')] == ['1,"one\ntwo\nthree"', "2,four"]


field = st.text('ab,"\n\r é', max_size=6)


@given(st.lists(st.lists(field, min_size=2, max_size=2), min_size=1, max_size=8), st.data())
def test_any_record_of_csv_is_found_whole(rows: list[list[str]], data: st.DataObject) -> None:
    lines, texts, number = [], [], 1
    for row in rows:
        written = io.StringIO()
        csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
        lines.append(number)
        texts.append(written.getvalue())
        number += texts[-1].count("\n")
    chosen = data.draw(st.sets(st.sampled_from(range(len(rows)))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(again, "_CHUNK", data.draw(st.sampled_from([1, 2, 3, 7, 1 << 20])))
        records = found("".join(texts).encode(), *(lines[n] for n in chosen), quote='"')
    assert [(line, raw) for line, _, raw in records] == [(lines[n], texts[n][:-1]) for n in sorted(chosen)]
