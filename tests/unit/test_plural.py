"""Numbers and what they count."""

from __future__ import annotations

from lakeloop.plural import counted


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(number, "text") for number in (0, 1, 2, 1234)] == [
        "0 texts", "1 text", "2 texts", "1,234 texts",
    ]  # fmt: skip
    assert counted(2, "copy", "copies") == "2 copies"
