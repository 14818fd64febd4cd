"""Cleaning by the loop file, from a day's drop to its published rows: what is changed, tagged, set aside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.integration.test_transform_validate import DAY, drop, open_context, run_all
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import small_loop

pytestmark = pytest.mark.slow


def test_texts_are_cleaned_by_the_steps_of_the_loop_file_and_counted(tmp_path: Path) -> None:
    steps = {"invisible": True, "mask": ["mail", "phone"], "phone_region": "GB"}
    context = open_context(tmp_path, small_loop(clean=steps))
    write_dbt_project(context.settings.dbt)
    labels = ("business", "sports", "tech")
    rows = [{"id": f"k{n}", "text": f"story {n}", "label": labels[n % 3]} for n in range(9)]
    sent = ["write to ann@b.example", "write to [mail]", "so\u00adft\u200b news", "ring 020 7946 0958 now"]
    drop(context, [*rows, *({"id": f"c{n}", "text": text, "label": "tech"} for n, text in enumerate(sent))])
    _, transformed, validated = run_all(context)
    staging = {row["row_id"]: row for row in context.lake.read("staging", partition=DAY).to_pylist()}
    assert [staging[f"c{n}"]["text"] for n in range(4)] == [
        "write to [mail]", "write to [mail]", "soft news", "ring [phone] now",
    ]  # fmt: skip
    assert staging["c0"]["text_key"] == staging["c1"]["text_key"], "made of the text as it is now"
    assert validated.counts is not None
    assert validated.counts.duplicates == 1
    cleaned = {name: value for name, value in transformed.metrics.items() if name.startswith("clean/")}
    assert cleaned == {"clean/invisible": 1.0, "clean/mask/mail": 1.0, "clean/mask/phone,GB": 1.0}
    assert "cleaned: invisible in 1, mask:mail in 1, mask:phone,GB in 1" in transformed.reason
    assert context.lake.read("raw", partition=DAY)["text"].to_pylist()[9] == sent[0], "as it was delivered"


def test_rows_are_tagged_with_their_language_and_those_in_others_are_set_aside(tmp_path: Path) -> None:
    context = open_context(tmp_path, small_loop(checks={"max_quarantined_share": 0.5}))
    write_dbt_project(context.settings.dbt)
    labels = ("business", "sports", "tech")
    rows = [
        {"id": f"k{n}", "text": f"the story of the day number {n}", "label": labels[n % 3]} for n in range(9)
    ]
    drop(context, rows, "2026-11-15")
    run_all(context, "2026-11-15")
    asked = {"languages": ["en"]}
    context = open_context(tmp_path, small_loop(clean=asked, checks={"max_quarantined_share": 0.5}))
    others = ["Die Geschichte des Tages kommt aus Berlin", "ok thx"]
    drop(context, [*rows, *({"id": f"c{n}", "text": text, "label": "tech"} for n, text in enumerate(others))])
    _, transformed, validated = run_all(context)
    assert transformed.metrics["language/de"] == 1.0
    assert "languages: en 9" in transformed.reason
    assert validated.counts is not None
    assert (validated.counts.accepted, validated.counts.quarantined) == (10, 1)
    (refused,) = context.lake.read("quarantine", partition=DAY).to_pylist()
    assert (refused["row_key"], refused["reason"], refused["column"]) == (
        "c0",
        "language_unknown",
        "language",
    )
    spoken = Counter(context.lake.read("mart", partition=DAY)["language"].to_pylist())
    assert spoken == {"en": 9, "und": 1}
    before = context.lake.read("mart", partition="2026-11-15")["language"].to_pylist()
    assert before == [None] * 9, "a day of before goes on being there"


def test_rows_of_another_length_are_set_aside_by_words(tmp_path: Path) -> None:
    asked = {"length": {"unit": "words", "min": 2, "max": 4}}
    context = open_context(tmp_path, small_loop(clean=asked, checks={"max_quarantined_share": 0.5}))
    write_dbt_project(context.settings.dbt)
    labels = ("business", "sports", "tech")
    rows = [{"id": f"k{n}", "text": f"story {n}", "label": labels[n % 3]} for n in range(9)]
    sent = ["one", "now this is far too long", "this is just right"]
    drop(context, [*rows, *({"id": f"c{n}", "text": text, "label": "tech"} for n, text in enumerate(sent))])
    _, _, validated = run_all(context)
    assert validated.counts is not None
    assert (validated.counts.accepted, validated.counts.quarantined) == (10, 2)
    refused = context.lake.read("quarantine", partition=DAY).to_pylist()
    assert {(row["row_key"], row["reason"]) for row in refused} == {
        ("c0", "text_too_short"),
        ("c1", "text_too_long"),
    }
