"""Cleaning is the same wherever a text is cleaned: in the mart's SQL, in Python, in front of a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.cleaning.steps import clean_texts, steps_of
from lakeloop.errors import ArtifactError
from lakeloop.spec.clean import Clean, PersonalKind
from lakeloop.spec.normal import normalised

ALL = steps_of(Clean(invisible=True, mask=get_args(PersonalKind), phone_region="US"))
_SPACES = " \t\n\x0b\f\r\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000"
texts = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    | st.text(st.sampled_from(f"{_SPACES}ab\u0301\u200b\u212b")),
    min_size=1,
    max_size=20,
)


@pytest.fixture(scope="module")
def sql(root: Path) -> str:
    """The expression of the dbt macro `normalised` for the column `text`, normalising switched on."""
    macro = (root / "dbt/macros/texts.sql").read_text()
    body = macro.split("{% macro normalised(expression) -%}")[1].split("{%- else -%}")[0]
    expression = body.split("-%}")[-1].strip()
    assert expression.startswith("case")
    return re.sub(r"\{\{ text \}\}", "text", expression)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@given(texts)
@settings(max_examples=200, deadline=None)
def test_the_step_does_what_the_sql_does_to_any_text(
    connection: duckdb.DuckDBPyConnection, sql: str, given_texts: list[str]
) -> None:
    rows = connection.execute(f"select {sql} from (select unnest(?) as text)", [given_texts]).fetchall()
    assert clean_texts(given_texts, ["normalise"]) == [row[0] for row in rows]


@given(texts)
def test_the_step_does_what_labels_of_loop_files_are_held_to(given_texts: list[str]) -> None:
    assert clean_texts(given_texts, ["normalise"]) == [normalised(text) for text in given_texts]


@given(texts)
def test_cleaning_what_is_clean_changes_nothing(given_texts: list[str]) -> None:
    once = clean_texts(given_texts, ALL)
    assert clean_texts(once, ALL) == once


@given(texts)
def test_rows_that_sql_normalised_first_end_as_texts_that_were_not(given_texts: list[str]) -> None:
    assert clean_texts(clean_texts(given_texts, ["normalise"]), ALL) == clean_texts(given_texts, ALL)


def test_what_nobody_sees_is_taken_out_and_what_spells_words_stays() -> None:
    hidden = "a\u200bb\u00adc\ufeff\u202ed\x00\x1b\U000e0041\u2060"
    spelt = "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f4bb\ttab"
    assert clean_texts([hidden, spelt], ["invisible"]) == ["abcd", spelt]


def test_a_loop_file_says_which_steps_there_are() -> None:
    assert steps_of(Clean()) == ("normalise",)
    assert steps_of(Clean(normalise=False)) == ()
    every = Clean(invisible=True, mask=("phone", "mail", "card"), phone_region="GB")
    assert steps_of(every) == ("invisible", "normalise", "mask:mail", "mask:card", "mask:phone,GB")
    assert steps_of(Clean(mask=("mail",)), keep_length=True) == ("normalise", "blot:mail")
    assert clean_texts(["  as  it is "], ()) == ["  as  it is "]


def test_a_step_of_a_later_version_is_refused() -> None:
    with pytest.raises(ArtifactError, match="cleaning step that is not known here"):
        clean_texts(["text"], ["mask_names"], where="model")
