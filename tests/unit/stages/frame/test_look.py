"""Each stage that decides by its inputs can be asked what it would do, and does nothing then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.stages.catalogue import STAGES, stage_named
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.look import look_at
from lakeloop.stages.frame.why import beside, field, shortened, why
from tests.support.small_loop import DAYS, small_context, small_loop

DAY = DAYS[0]
ROW = '{"id": "1", "text": "a story", "label": "tech"}\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "drops").mkdir()
    (tmp_path / "drops" / f"{DAY}.jsonl").write_text(ROW)
    return tmp_path


def test_a_stage_of_a_day_says_why_it_would_run_and_then_why_not(project: Path) -> None:
    context, stage = small_context(project), stage_named("ingest")
    before = why(context, stage, DAY)
    assert (before.verdict, before.reason, before.fields) == ("run", "would run: there is no earlier one", ())
    assert context.lake.ledger.entries() == []
    assert not (context.settings.journals / "small").exists()

    done = ingest(context, DAY)
    after = why(context, stage, DAY)
    assert (after.verdict, after.fingerprint) == ("skip", done.fingerprint)
    assert "drop" in after.changed_by
    assert {"source.kind", "source.path", "source.columns"} <= set(after.changed_by)

    (project / "drops" / f"{DAY}.jsonl").write_text(ROW + ROW)
    changed = why(context, stage, DAY)
    assert (changed.verdict, changed.reason) == ("run", "would run, because of drop")


def test_a_key_of_the_loop_file_is_named_with_its_old_and_new_value(project: Path) -> None:
    ingest(small_context(project), DAY)
    source = small_loop().source.model_copy(update={"key": "text"})
    other = small_loop().model_copy(update={"source": source})
    found = why(small_context(project, other), stage_named("ingest"), DAY)
    (field,) = [each for each in found.fields if not each.equal]
    assert (field.name, field.then, field.now) == ("source.key", "id", "text")


def test_a_day_without_a_drop_is_nothing_to_do(project: Path) -> None:
    found = why(small_context(project), stage_named("ingest"), DAYS[1])
    assert found.verdict == "nothing"
    assert f"{DAYS[1]}.jsonl" in found.reason


@pytest.mark.parametrize("name", [stage.name for stage in STAGES if stage.phase == "watch"])
def test_a_stage_that_looks_at_more_than_its_inputs_is_not_asked(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="more than its inputs"):
        look_at(small_context(tmp_path), stage_named(name), DAY)


def test_of_a_long_list_the_number_is_shown_and_what_differs() -> None:
    labels = [f"label {number}" for number in range(77)]
    now = [*labels[1:], "new one"]
    assert shortened(json.dumps(labels)) == (
        "77: label 0, label 1, label 2, label 3, label 4, label 5 and 71 more"
    )
    assert beside(field("labels", json.dumps(labels), json.dumps(labels))) == (
        "77: label 0, label 1, label 2, label 3, label 4, label 5 and 71 more",
        "the same",
    )
    assert beside(field("labels", json.dumps(labels), json.dumps(now))) == (
        "77; not now: label 0",
        "77; new: new one",
    )
    assert beside(field("labels", json.dumps(labels), json.dumps(labels[::-1]))) == (
        "77",
        "77, in another order",
    )
    assert beside(field("labels", json.dumps(labels[:2]), json.dumps(labels))) == (
        '["label 0", "label 1"]',
        "77: label 0, label 1, label 2, label 3, label 4, label 5 and 71 more",
    )
    assert beside(field("text", "[not a list", None)) == ("[not a list", None)
