"""The normal form of labels: the one that the dbt macro gives the rows."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from lakeloop.spec.normal import normalised


def test_it_is_what_the_macro_does_with_every_character(root: Path) -> None:
    macro = (root / "dbt/macros/texts.sql").read_text()
    found = re.search(r"^trim\(regexp_replace\(.*$", macro, re.MULTILINE)
    assert found
    sql = found[0].replace("{{ text }}", "text")
    codes = [code for code in range(1, 0x3100) if not 0xD800 <= code < 0xE000]
    texts = [f" {chr(code)}a{chr(code)}{chr(code)}e{chr(code)}" for code in codes]
    rows = duckdb.execute(f"select text, {sql} from (select unnest(?) as text)", [texts]).fetchall()
    assert len(rows) == len(codes)
    assert [text for text, form in rows if normalised(text) != form] == []
