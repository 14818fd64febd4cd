"""The normal form of labels: the one that the dbt macro gives the rows."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from lakeloop.spec.normal import normalised


def test_it_is_what_the_macro_does_with_every_character(root: Path) -> None:
    macro = (root / "dbt/macros/texts.sql").read_text()
    found = re.search(r"^case\n\s+when regexp_matches.*?^\s+end$", macro, re.MULTILINE | re.DOTALL)
    assert found
    sql = found[0].replace("{{ text }}", "text")
    assert "{{" not in sql
    codes = [code for code in range(1, 0x3100) if not 0xD800 <= code < 0xE000]
    forms = ("a{0}e", "a{0}{0}e", "{0}ae", "ae{0}", "a {0}e", "a e", " {0}a{0}{0}e{0}")
    texts = [form.format(chr(code)) for code in codes for form in forms]
    rows = duckdb.execute(f"select text, {sql} from (select unnest(?) as text)", [texts]).fetchall()
    assert len(rows) == len(texts)
    assert [text for text, form in rows if normalised(text) != form] == []
