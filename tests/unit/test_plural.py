"""Numbers and what they count."""

from __future__ import annotations

from lakeloop.plural import FEW, counted, ends, few


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(number, "text") for number in (0, 1, 2, 1234)] == [
        "0 texts", "1 text", "2 texts", "1,234 texts",
    ]  # fmt: skip
    assert counted(2, "copy", "copies") == "2 copies"


def test_of_many_names_the_first_are_said_and_how_many_more_there_are() -> None:
    names = [f"no {number}" for number in range(FEW)]
    assert few([]) == ""
    assert few(names[:2]) == "no 0, no 1"
    assert few(names) == ", ".join(names)
    assert few([*names, *names]) == f"{', '.join(names)} and 12 more"
    long = [f"{number} {'x' * 50}" for number in range(100)]
    assert few(long) == f"{', '.join(long[:2])} and 98 more"
    assert few(["x" * 500]) == "x" * 500


def test_of_a_long_text_both_ends_are_shown() -> None:
    text = f"expected one of {', '.join(map(str, range(100)))}, found cooking"
    assert ends(text, 1000) == text
    cut = ends(text, 60)
    assert len(cut) == 60
    assert cut.startswith("expected one of 0, 1,")
    assert cut.endswith(" … 97, 98, 99, found cooking"[-20:])
