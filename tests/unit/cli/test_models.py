"""models, promote, rollback, compare, lineage."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lakeloop.registry.decisions import SUPERSEDED
from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.stages.frame.session import StageContext
from tests.support.command import Run
from tests.support.serving import promote, register


@pytest.fixture
def context(project: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    """Two versions, of which v2 is champion; a user called ada."""
    monkeypatch.setenv("LOGNAME", "ada")
    context = StageContext.open("tickets", get_settings(root=project))
    for number in (1, 2):
        promote(context, number)
    return context


def test_without_a_version_it_says_how_to_get_one(run: Run) -> None:
    ended = run("models", "tickets")
    assert (ended.code, "lakeloop run tickets" in ended.out) == (0, True)


def test_models_lists_versions_and_every_move_with_who_and_why(run: Run, context: StageContext) -> None:
    assert run("rollback", "tickets", "--reason", "answers look wrong").code == 0
    ended = run("promote", "tickets", "v2", "--reason", "it was the client")
    assert (ended.code, "a rollback goes back to v1" in ended.out) == (0, True)
    shown = run("models", "tickets").out
    assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [["v2", "champion"], ["v1", "previous"]]
    assert "v1 → v2" in shown
    assert "it was the client" in shown
    listing = json.loads(run("models", "tickets", "--json").out)
    assert [(move["version"], move["by"]) for move in listing["moves"][-2:]] == [("v1", "ada"), ("v2", "ada")]
    assert Registry(context.lake).read().moves[-1].cause == "by hand"


def test_models_shows_the_card_of_one_version(run: Run, context: StageContext) -> None:
    shown = run("models", "tickets", "v1")
    assert shown.code == 0, shown.err
    assert "# tickets v1" in shown.out
    assert "## Why it was let in" in shown.out
    assert context.lake.files.exists("cards/v1"), "made on demand, and kept"
    assert json.loads(run("models", "tickets", "v1", "--json").out)["name"] == "v1"
    assert run("models", "tickets", "v7").code == 64


@pytest.fixture
def tried(context: StageContext) -> StageContext:
    """And v3, a canary beside v2."""
    version = register(context, 3)
    Registry(context.lake).begin_trial(
        version.name, "canary", 0.1, over="v2", reason="better on the rows", cause="e3"
    )
    return context


def test_a_trial_is_shown_with_what_is_known_and_a_rollback_ends_it(run: Run, tried: StageContext) -> None:
    shown = run("models", "tickets").out
    assert [line.split()[:2] for line in shown.splitlines()[1:3]] == [["v3", "canary"], ["v2", "champion"]]
    assert "v3 beside the champion v2, canary of 10% of the requests: 0 of 300 requests" in shown
    looked = run("trial", "tickets")
    assert (looked.code, "0 of 300 requests" in looked.out) == (0, True)
    assert "v3 is tried beside v2, canary of 10% of the requests" in run("status", "tickets").out
    assert "trial: v3 beside the champion v2" in run("why", "tickets").out

    ended = run("rollback", "tickets", "--reason", "odd answers")
    assert (ended.code, ended.out) == (
        0,
        "the trial of v3 has ended, v2 stays champion of tickets; once more goes back to v1\n",
    )
    assert re.search(
        r"trial +that of v3 ended [0-9: -]+ by ada: odd answers",
        " ".join(run("status", "tickets").out.split()),
    )
    shown = run("models", "tickets").out
    assert "trial ended" in shown
    assert "odd answers" in shown
    listing = json.loads(run("models", "tickets", "--json").out)
    assert (listing["trial"], listing["trial_ends"][0]["by"]) == (None, "ada")
    assert "last trial: v3, canary of 10% of the requests: its trial was ended by ada: odd answers" in (
        " ".join(run("why", "tickets").out.split())
    )


def test_a_question_that_a_newer_candidate_ended_is_told(run: Run, project: Path) -> None:
    context = StageContext.open("tickets", get_settings(root=project))
    Registry(context.lake).supersede("e1", "5" * 64, newer="e2", day="2026-11-18")
    title = "superseded by the candidate of 2026-11-18"
    with context.stage("release", "2026-11-17") as stage:
        stage.skipped(title, outputs={SUPERSEDED: "2026-11-18"})
    shown = " ".join(run("models", "tickets").out.split())
    assert "tickets has no version yet" in shown
    assert f"{'5' * 12} automatic {title}" in shown
    promote(context, 1)
    assert title in " ".join(run("models", "tickets").out.split())
    (ended,) = json.loads(run("models", "tickets", "--json").out)["superseded"]
    assert (ended["superseded_by"], ended["approved"]) == ("2026-11-18", False)
    said = " ".join(run("why", "tickets").out.split())
    assert f"last decision of the gate, 2026-11-17 (superseded): {title}" in said


def test_a_person_makes_the_version_on_trial_champion(run: Run, tried: StageContext) -> None:
    assert run("promote", "tickets", "v3", "--reason", "good enough").code == 0
    history = Registry(tried.lake).read()
    assert (history.trial, history.aliases_of("v3")) == (None, ("champion",))
    assert "v3 became champion by ada: good enough" in run("trial", "tickets").out


def test_a_promotion_needs_a_version_and_a_reason(run: Run, context: StageContext) -> None:
    for version, reason, said in (
        ("v7", "typo", "no such model version"),
        ("v2", "again", "v2 is the champion already"),
        ("v1", " ", "needs a reason"),
    ):
        ended = run("promote", "tickets", version, "--reason", reason)
        assert (ended.code, said in ended.err) == (64, True)
    assert len(Registry(context.lake).read().moves) == 2


def test_compare_shows_what_differs(run: Run, context: StageContext) -> None:
    ended = run("compare", "tickets", "v1", "v2")
    assert ended.code == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["seed", "1", "2"] in lines
    assert "never stood in one evaluation" in ended.out
    assert json.loads(run("compare", "tickets", "v1", "v2", "--json").out)["first"] == "v1"
    assert run("compare", "tickets", "v1", "v9").code == 64


def test_lineage_says_what_the_ledger_does_not_know(run: Run, context: StageContext) -> None:
    ended = run("lineage", "tickets", "v1")
    assert ended.code == 0, ended.err
    assert "does not say any more: release, evaluation, training, data set" in ended.out
    assert "0 answers in the prediction log" in ended.out
    assert json.loads(run("lineage", "tickets", "v1", "--json").out)["version"] == "v1"


def test_keep_says_what_would_go_and_removes_nothing(run: Run, context: StageContext) -> None:
    ended = run("keep", "tickets")
    assert ended.code == 0, ended.err
    assert "models/v1" in ended.out
    assert ended.out.endswith("0 of 2 would go, 0 bytes; nothing was removed\n")
    assert json.loads(run("keep", "tickets", "--json").out)["going"] == []
    assert context.lake.files.exists("models/v1")


def test_export_writes_a_folder_of_its_own(run: Run, context: StageContext, tmp_path: Path) -> None:
    ended = run("export", "tickets", "v1", "--to", str(tmp_path / "out"))
    assert ended.code == 0, ended.err
    assert (tmp_path / "out/README.md").read_text().startswith("---\n")
    assert (tmp_path / "out/artifact/model.onnx").is_file()
    again = run("export", "tickets", "v1", "--to", str(tmp_path / "out"))
    assert (again.code, "is there already" in again.err) == (64, True)


def test_explain_answers_a_text_and_weighs_its_words(run: Run, context: StageContext) -> None:
    ended = run("explain", "tickets", "a [bold] story about tech")
    assert ended.code == 0, ended.err
    first, _, *lines = [line for line in ended.out.splitlines() if line]
    assert first.startswith("v2: tech (")
    effects = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert set(effects) == {"a", "bold", "story", "about", "tech"}
    assert max(effects, key=lambda word: effects[word]) == "tech"
    assert run("explain", "tickets", "tech", "--version", "v1").out.startswith("v1: tech")
    assert "no word of it can be left out" in run("explain", "tickets", "tech").out
    other = run("explain", "tickets", "a story about tech", "--by", "integrated_gradients")
    assert (other.code, "explained by occlusion: this model has no gradients" in other.out) == (0, True)
    assert run("explain", "tickets", "tech", "--by", "gradients").code == 64
    refused = run("explain", "tickets", "tech", "--pair", "sports")
    assert (refused.code, "reads something else" in refused.err) == (64, True)
    assert run("explain", "tickets", "tech", "--version", "v9").code == 64


def test_explain_says_that_a_label_is_held_back(run: Run, context: StageContext, project: Path) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(file.read_text() + "deploy: {abstain: {below: 0.9999}}\n")
    assert run("explain", "tickets", "a story about tech").out.startswith("v2: unsure, perhaps tech (")


@pytest.mark.parametrize("asked", [("",), (" \n",), ("tech", "--pair", "")])
def test_explain_needs_a_text(run: Run, context: StageContext, asked: tuple[str, ...]) -> None:
    ended = run("explain", "tickets", *asked)
    assert ended.code == 64
    assert ended.err.endswith(": no text\n  expected: one that is not blank\n")


def test_explain_needs_a_version(run: Run) -> None:
    ended = run("explain", "tickets", "tech")
    assert (ended.code, "lakeloop run tickets" in ended.err) == (64, True)
