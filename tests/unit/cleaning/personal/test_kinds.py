"""What is found of each kind of personal data, and what only looks like it."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.cleaning.personal.registry import BLOT, KINDS, mask
from lakeloop.spec.clean import PersonalKind
from tests.support.personal_texts import REGION, labelled


def masked(text: str, kind: str, region: str = "", *, keep_length: bool = False) -> str:
    found: list[str] = mask(pa.array([text], pa.string()), kind, region, keep_length=keep_length).to_pylist()
    return found[0]


def test_the_loop_file_knows_the_kinds_that_there_are() -> None:
    assert set(get_args(PersonalKind)) == set(KINDS)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("mail", "ann.o'neill+news@mail.example.co.uk"),
        ("mail", "jörg@müller.example"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "DE89370400440532013000"),
        ("iban", "mt84 malt 0110 0001 2345 mtlc ast0 01s"),
        ("card", "4111 1111 1111 1111"),
        ("card", "3782-822463-10005"),
        ("card", "5555555555554444"),
        ("ip", "192.168.1.254"),
        ("ip", "2001:db8::ff00:42:8329"),
        ("phone", "+44 20 7946 0958"),
        ("phone", "+1 (212) 555-2368"),
    ],
)
def test_it_is_found_in_a_sentence_at_its_start_and_at_its_end(kind: str, written: str) -> None:
    assert masked(f"please use {written}, thanks", kind) == f"please use [{kind}], thanks"
    assert masked(written, kind) == f"[{kind}]"
    assert masked(f"it is {written}", kind) == f"it is [{kind}]"


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("mail", "meet me @ 5, or @home"),
        ("iban", "order GB82 WEST 1234 5698 7654 33"),
        ("card", "order 4111 1111 1111 1112"),
        ("card", "parcel 1234567812345670"),
        ("card", "on 2026-11-18 at 10:30:45 and 2026-11-19"),
        ("ip", "version 10.2.0.1 at 10:30:45"),
        ("ip", "chapter 1.2.3 and 300.1.2.3"),
        ("phone", "+44 is the code, order 0012345678, on 2026-11-18"),
        ("phone", "pages 1990-1995 and 3.14159265"),
    ],
)
def test_what_only_looks_like_it_stays(kind: str, written: str) -> None:
    assert masked(written, kind, "GB") == written


def test_a_number_without_its_country_is_a_phone_where_the_region_is_known() -> None:
    assert masked("ring 020 7946 0958", "phone", "GB") == "ring [phone]"
    assert masked("ring (212) 555-2368", "phone", "US") == "ring [phone]"
    assert masked("ring 020 7946 0958", "phone") == "ring 020 7946 0958"


def test_several_in_a_text_and_in_several_texts_are_masked_and_nulls_stay() -> None:
    texts = pa.array(["a@b.example and c@d.example", None, "nobody", "x@y.example"], pa.large_string())
    found = mask(texts, "mail")
    assert found.type == texts.type
    assert found.to_pylist() == ["[mail] and [mail]", None, "nobody", "[mail]"]


def test_of_a_sliced_array_only_its_own_rows_are_masked() -> None:
    texts = pa.array(["a@b.example", "nobody", "c@d.example", "e@f.example"]).slice(1, 2)
    assert mask(texts, "mail").to_pylist() == ["nobody", "[mail]"]


def test_places_and_words_stay_true_where_the_length_is_kept() -> None:
    text = "write to ann@b.example or +44 20 7946 0958 today"
    kept = masked(masked(text, "mail", keep_length=True), "phone", keep_length=True)
    assert kept == "write to ###@#.####### or +## ## #### #### today"
    assert len(kept.split()) == len(text.split())
    assert BLOT in kept


@given(
    st.sampled_from(sorted(KINDS)), st.text(st.sampled_from("0123456789+-. @:[]aXéGB82\u00a0"), max_size=60)
)
def test_what_was_masked_is_not_masked_again(kind: str, text: str) -> None:
    once = masked(text, kind, "GB")
    assert masked(once, kind, "GB") == once


def test_nearly_all_of_each_kind_is_found_and_hardly_anything_that_is_none() -> None:
    rows = list(labelled(100, seed=7))
    texts = pa.array([row.text for row in rows], pa.large_string())
    for kind in KINDS:
        texts = mask(texts, kind, REGION, keep_length=True)
    found = list(zip(rows, texts.to_pylist(), strict=True))
    missed = [row for row, text in found if row.kind and any(map(str.isalnum, text[row.start : row.end]))]
    false = [row for row, text in found if not row.kind and text != row.text]
    assert len(missed) <= 0.02 * 100 * len(KINDS), missed
    assert len(false) <= 0.01 * 500, false
