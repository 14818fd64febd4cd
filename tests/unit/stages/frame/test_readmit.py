"""Rows that come in from the quarantine when the loop file was mended: which, how many, and what stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.lake.corrections import corrections_of
from lakeloop.quality.quarantine import Wanted
from lakeloop.sources.delivery import FileDelivery
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.catalogue import DATA, stage_named
from lakeloop.stages.frame.gone import GONE, WHY
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.readmit import OPEN, DayFate, look, readmit
from lakeloop.stages.frame.run import RunEvent
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.frame.unknown import unknown_answers
from lakeloop.transform.models import take_over
from tests.support.quick_stages import quick
from tests.support.small_loop import small_context, small_loop

DAY, NEXT = "2026-11-16", "2026-11-17"
STRICT = {**small_loop().source.model_dump(exclude_none=True), "undeclared": "refuse"}
MORE_LABELS = {"text": "text", "label": "label", "labels": ["business", "sports", "tech", "cooking"]}


def line(key: str, label: str = "tech", **more: Any) -> str:
    return json.dumps({"id": key, "text": f"story {key}", "label": label, **more})


def put(folder: Path, *lines: str, day: str = DAY) -> None:
    path = folder / f"drops/{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{each}\n" for each in lines))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    quick(monkeypatch, tmp_path / "dbt")
    return tmp_path


def opened(folder: Path, **sections: Any) -> StageContext:
    """The loop with other sections, as the next process opens it."""
    loop: LoopSpec = small_loop(**sections)
    return small_context(folder, loop, Attempt.local())


def run_day(context: StageContext, day: str = DAY) -> None:
    for name in DATA:
        stage_named(name).function(context, day)


def counts(fates: list[DayFate]) -> dict[tuple[str, str], tuple[int, int, dict[str, int]]]:
    return {
        (day.partition, reason): (fate.rows, fate.come_in, dict(fate.stay))
        for day in fates
        for (_, reason, _), fate in day.fates.items()
    }


def ids(context: StageContext, day: str = DAY) -> list[str]:
    return sorted(context.lake.read("mart", partition=day)["row_id"].to_pylist())


def nothing(event: RunEvent) -> None:
    """Nobody looks."""


def test_rows_that_were_refused_while_reading_come_in_by_a_mended_source(folder: Path) -> None:
    put(folder, line("a"), line("b", extra=1), '{"id": "c", "te', line("d", label="cooking", extra=2))
    put(folder, line("e"), day=NEXT)
    before = opened(folder, source=STRICT)
    run_day(before)
    run_day(before, NEXT)
    assert ids(before) == ["a"]
    mended = opened(folder)
    seen = look(mended, Wanted())
    assert counts(seen) == {
        (DAY, "extra_field"): (2, 1, {"label_unknown": 1}),
        (DAY, "broken_json"): (1, 0, {"broken_json": 1}),
    }
    assert ids(before) == ["a"], "looking changes nothing"
    done = readmit(mended, Wanted(), seen, nothing)
    assert counts(done) == counts(seen), "what was foreseen came true"
    assert ids(mended) == ["a", "b"]
    (day, _) = loop_status(mended).partitions
    assert day.reconciled
    assert (day.read, day.accepted, day.quarantined) == (4, 2, 2)
    assert readmit(mended, Wanted(), look(mended, Wanted()), nothing) == [], "nothing is left to let in"


@pytest.mark.parametrize("gone", [False, True])
def test_what_models_of_the_loops_own_make_of_a_row_is_not_foreseen(folder: Path, gone: bool) -> None:
    put(folder, line("a"), line("b", extra=1), '{"id": "c", "te')
    run_day(opened(folder, source=STRICT))
    mended = opened(folder)
    take_over(mended.settings.dbt, mended.loop)
    if gone:
        (folder / f"drops/{DAY}.jsonl").unlink()
    seen = look(mended, Wanted())
    assert counts(seen)[DAY, "extra_field"] == (1, 0, {OPEN: 1})
    assert counts(readmit(mended, Wanted(), seen, nothing))[DAY, "extra_field"] == (1, 1, {})
    assert ids(mended) == ["a", "b"]


def test_only_days_with_rows_to_let_in_are_done_anew(folder: Path) -> None:
    put(folder, line("a"), line("b", label="cooking"))
    put(folder, line("c"), line("d", label="gardening"), day=NEXT)
    before = opened(folder)
    run_day(before)
    run_day(before, NEXT)
    mended = opened(folder, task=MORE_LABELS)
    entries = len(mended.lake.ledger.entries())
    done = readmit(mended, Wanted(), look(mended, Wanted()), nothing)
    assert counts(done) == {(DAY, "label_unknown"): (1, 1, {})}
    assert ids(mended) == ["a", "b"]
    assert {entry.partition for entry in mended.lake.ledger.entries()[entries:]} == {DAY}


def test_the_same_rules_let_nothing_in_and_read_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, line("a"), line("b", label="cooking"), "broken")
    context = opened(folder)
    run_day(context)
    monkeypatch.setattr(FileDelivery, "__init__", None)  # who opened a drop would fail
    (day,) = look(context, Wanted())
    assert not day.is_due
    assert counts([day]) == {
        (DAY, "label_unknown"): (1, 0, {"label_unknown": 1}),
        (DAY, "broken_json"): (1, 0, {"broken_json": 1}),
    }


def test_who_asks_for_one_reason_is_told_of_that(folder: Path) -> None:
    put(folder, line("a"), line("b", extra=1), "broken")
    run_day(opened(folder, source=STRICT))
    mended = opened(folder)
    assert list(counts(look(mended, Wanted(reason="extra_field")))) == [(DAY, "extra_field")]
    assert look(mended, Wanted(partition=NEXT)) == []


def test_a_drop_that_is_another_one_by_now_is_told(folder: Path) -> None:
    put(folder, line("a"), line("b", extra=1))
    run_day(opened(folder, source=STRICT))
    put(folder, line("a"), line("b", extra=1), line("z"))
    mended = opened(folder)
    (day,) = look(mended, Wanted())
    assert "another one" in day.note
    assert (day.first, day.open, dict(day.fates["ingest", "extra_field", "extra"].stay)) == (
        "ingest",
        1,
        {OPEN: 1},
    )


def test_records_of_a_drop_that_is_gone_are_read_as_quarantine_has_them(folder: Path) -> None:
    put(folder, line("a"), line("b", extra=1), line("c", label="cooking", extra=2), "broken")
    run_day(opened(folder, source=STRICT))
    (folder / f"drops/{DAY}.jsonl").unlink()
    mended = opened(folder)
    seen = look(mended, Wanted())
    assert counts(seen) == {
        (DAY, "extra_field"): (2, 1, {"label_unknown": 1}),
        (DAY, "broken_json"): (1, 0, {"broken_json": 1}),
    }
    assert "not there any more" in seen[0].note
    assert counts(readmit(mended, Wanted(), seen, nothing, "ann")) == {
        (DAY, "extra_field"): (2, 1, {"extra_field": 1}),
        (DAY, "broken_json"): (1, 0, {"broken_json": 1}),
    }
    assert ids(mended) == ["a", "b"]
    (kept,) = corrections_of(mended.lake, DAY)
    assert (kept.corrected_by, kept.why) == ("ann", WHY)
    (day,) = loop_status(mended).partitions
    assert (day.read, day.accepted, day.quarantined, day.reconciled) == (4, 2, 2, True)
    assert not any(one.is_due for one in look(mended, Wanted()))


def test_lines_of_a_csv_that_is_gone_are_left_to_a_person(folder: Path) -> None:
    csv = {
        **small_loop().source.model_dump(exclude_none=True),
        "path": "drops/{partition}.csv",
        "format": "csv",
    }
    file = folder / f"drops/{DAY}.csv"
    file.parent.mkdir()
    file.write_text("id,text,label\na,one,tech\n,two,tech\n")
    run_day(opened(folder, source=csv))
    file.unlink()
    mended = opened(folder, source={**csv, "key": None, "key_from": "content"})
    (day,) = look(mended, Wanted())
    assert not day.is_due
    assert dict(day.fates["ingest", "null_key", "id"].stay) == {GONE: 1}
    assert "put the drop back, or edit them" in day.note


def test_a_day_that_fails_stays_and_keeps_no_other_back(folder: Path) -> None:
    put(folder, line("a"), line("b", extra=1))
    put(folder, line("c"), line("d", extra=1), day=NEXT)
    before = opened(folder, source=STRICT)
    run_day(before)
    run_day(before, NEXT)
    mended = opened(folder)
    seen = look(mended, Wanted())
    (folder / f"drops/{DAY}.jsonl").unlink()
    done = readmit(mended, Wanted(), seen, nothing)
    assert [one.exit_code != 0 for one in done] == [True, False]
    assert ids(mended) == ["a"]
    assert ids(mended, NEXT) == ["c", "d"]
    assert [step.stage for step in work_left(mended) if step.partition == NEXT] == []


def test_a_label_that_becomes_known_makes_its_days_due_by_itself(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"), line("c", "cooking"), line("d", ""), "broken")
    put(folder, line("e"), line("f", "gardening"), day=NEXT)
    before = opened(folder)
    run_day(before)
    run_day(before, NEXT)
    assert [step for step in work_left(before) if step.stage == "validate"] == []
    mended = opened(folder, task=MORE_LABELS)
    assert [(step.partition, step.reason) for step in work_left(mended) if step.stage == "validate"] == [
        (DAY, f'2 row(s) of {DAY} wait for re-admission: "cooking" is known now')
    ]
    run_day(mended)
    assert ids(mended) == ["a", "b", "c"]
    assert [step for step in work_left(mended) if step.stage == "validate"] == []


def test_unknown_labels_are_listed_with_their_rows_days_and_an_example(folder: Path) -> None:
    put(folder, line("a"), line("b", "tehc"), line("c", "cooking"), line("x", "cook"))
    put(folder, line("e"), line("f", "cooking"), line("", "cooking"), day=NEXT)
    context = opened(folder)
    run_day(context)
    run_day(context, NEXT)
    first, *others = unknown_answers(context, 2)
    assert (first.answer, first.rows, first.days, first.newest, first.close) == ("cooking", 2, 2, NEXT, "")
    assert first.example is not None
    assert (first.example.partition, first.example.raw) == (NEXT, line("f", "cooking"))
    assert [(one.answer, one.close, one.example is None) for one in others] == [
        ("cook", "", False),
        ("tehc", "tech", True),
    ]
    (known, *_) = unknown_answers(opened(folder, task=MORE_LABELS), 0)
    assert known.known


def test_of_several_unknown_labels_in_a_row_each_is_counted(folder: Path) -> None:
    task = {"kind": "multi_label", "text": "text", "label": "label", "labels": ["tech", "sports"]}
    put(folder, line("a", "tech"), line("b", "tech,cooking,garden"), line("c", "garden"))
    context = opened(folder, task=task)
    run_day(context)
    assert {one.answer: one.rows for one in unknown_answers(context, 0)} == {"garden": 2, "cooking": 1}
    mended = opened(folder, task={**task, "labels": ["tech", "sports", "garden"]})
    (step,) = [step for step in work_left(mended) if step.stage == "validate"]
    assert step.reason == f'2 row(s) of {DAY} wait for re-admission: "garden" is known now'
    run_day(mended)
    assert ids(mended) == ["a", "c"]
    assert {one.answer: one.rows for one in unknown_answers(mended, 0)} == {"cooking": 1}
