"""What makes two texts near-duplicates, and what does not."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.cleaning import near
from lakeloop.cleaning.near import joined, near_key, repeats
from lakeloop.cleaning.text import normalise

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
words = st.lists(st.text("abcxyzÄéß東京😀👍+$", min_size=1, max_size=5), min_size=1, max_size=6)
between = st.text(
    " \t\n\u00a0\u3000.,;!?\"'()-\u2013\u2026\u00ab\u00bb\u200b\u3002", min_size=1, max_size=3
).filter(
    lambda gap: not (set(gap) & set(":;") and set(gap) & set("()"))  # such would be faces
)


def key(text: str) -> str | None:
    found: list[str | None] = near_key(pa.array([text], pa.string())).to_pylist()
    return found[0]


def several(*given_texts: str) -> list[str | None]:
    found: list[str | None] = near_key(pa.array(given_texts, pa.string())).to_pylist()
    return found


@pytest.mark.parametrize(
    "alike",
    [
        ("Hello, world!", "hello world", "  HELLO\tWorld\u2026", "\u201eHello\u201c world"),
        ("Caf\u00e9", "cafe\u0301", "CAF\u00c9."),
        ("soft\u00adware", "software"),
        ("1 50 in all", "1\u00a050 in all"),
        ("well-known", "well known"),
        ("東京、日本。", "東京 日本"),
        ("pages 10-12.", "Pages: 10-12"),
    ],
    ids=lambda alike: alike[0],
)
def test_case_white_space_and_parting_punctuation_do_not_count(alike: tuple[str, ...]) -> None:
    assert len(set(several(*alike))) == 1


@pytest.mark.parametrize(
    "different",
    [
        ("I write C", "I write C++", "I write C#"),
        ("great service 👍", "great service 👎", "great service"),
        ("price 1.50", "price 150", "price 1 50", "price 1,50"),
        ("10-12", "1012", "10/12", "10:12"),
        ("-5 degrees", "5 degrees"),
        ("it was -5", "it was 5", "it was .5", "it was -.5"),
        ("(-5)", "(5)"),
        ("x=-5", "x=5"),
        ("5%", "5", "#5", "5&", "*5", "@5", "/5", "\\5", "_5"),
        ("$5", "5", "5 \u20ac", "5+", "<5", ">5"),
        ("fine :-)", "fine :-(", "fine"),
        ("\U0001f3f4\U000e0067\U000e007f", "\U0001f3f4\U000e0073\U000e007f"),
        ("नमस्ते", "नमसत"),
    ],
    ids=lambda different: different[0],
)
def test_what_means_something_counts(different: tuple[str, ...]) -> None:
    assert len(set(several(*different))) == len(different)


def test_a_text_with_nothing_left_is_like_no_other() -> None:
    assert several("", " ", "...", "?!", "\u200b", "-") == [None] * 6
    assert near_key(pa.array([None, "a"], pa.string())).to_pylist() == [None, "a"]


@given(words, st.lists(between, min_size=7, max_size=7))
def test_how_words_are_parted_changes_nothing(parts: list[str], gaps: list[str]) -> None:
    spread = gaps[0] + "".join(word + gap for word, gap in zip(parts, gaps[1:], strict=False))
    assert key(spread) == key(" ".join(parts))


@given(st.text("ab Zß5½.,-:;=()'#%~^+", max_size=20))
def test_blanks_that_go_first_are_those_that_would_go(text: str) -> None:
    lowered = pc.utf8_lower(normalise(pa.array([text], pa.string())))
    whole = pc.replace_substring_regex(lowered, pattern=near._PARTS, replacement=r"\1\2\3").to_pylist()
    assert [key(text) or ""] == whole


@given(texts)
def test_unicode_form_and_case_change_nothing(text: str) -> None:
    lowered = pc.utf8_lower(pa.array([text], pa.string())).to_pylist()[0]
    assert several(text, unicodedata.normalize("NFD", text), lowered) == [key(text)] * 3


@given(texts, texts)
def test_texts_that_are_alike_have_the_same_letters_marks_and_digits(one: str, other: str) -> None:
    def content(text: str) -> str:
        composed = unicodedata.normalize("NFC", text).lower()
        return "".join(c for c in composed if unicodedata.category(c)[0] in "LMN")

    kept = key(one)
    if kept is not None and kept == key(other):
        assert content(one) == content(other)
    if kept is not None and one.isascii():
        assert content(kept) == content(one)


@given(
    st.lists(
        st.sampled_from(["C", "c", "C++", "c ++", "👍", "👍 ", "👎", "...", "", "1.5", "15"]), max_size=12
    )
)
def test_repeats_are_the_texts_whose_key_was_there(drawn: list[str]) -> None:
    # As the mart's key is made: of letters and digits, or of the row.
    text_keys = ["".join(c for c in t.lower() if c.isalnum()) or f"row:{n}" for n, t in enumerate(drawn)]
    found = repeats(
        pa.chunked_array([pa.array(drawn, pa.string())]), pa.chunked_array([pa.array(text_keys, pa.string())])
    )
    seen: set[str] = set()
    for text, repeated in zip(drawn, found.tolist(), strict=True):
        kept = key(text)
        assert repeated == (kept in seen)
        seen |= {kept} - {None}  # type: ignore[arg-type]


def test_columns_that_are_read_together_are_one_text_to_compare() -> None:
    first, second = pa.array(["ab", "a", "ab"]), pa.array(["c", "bc", None])
    keys = near_key(joined([first, second, pa.array([1.5, 1.5, 1.5])])).to_pylist()
    assert len(set(keys)) == 3, "nothing moves from one column into the next"
    assert keys[0] == near_key(joined([pa.array(["AB!"]), pa.array(["C"]), pa.array([1.5])])).to_pylist()[0]
    assert joined([first]) is first
