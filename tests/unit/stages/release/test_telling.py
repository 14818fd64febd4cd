"""What the tracker is told of versions and of moves: the journal is read, as the mirror does."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.registry.registry import Registry
from lakeloop.stages.release.telling import CHAMPION, tell_move, tell_version
from lakeloop.tracking.journal import read_journal
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.serving import open_project, promote


@pytest.fixture(autouse=True)
def no_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def test_a_version_is_an_artifact_that_refers_to_the_lake_under_its_aliases(tmp_path: Path) -> None:
    context = open_project(tmp_path)
    version = promote(context, 1)
    told = RecordingTracker()
    tell_version(told, context.lake, tmp_path, version)
    tell_version(told, context.lake, tmp_path, version, CHAMPION)
    (name, kind, path, metadata), again = told.artifacts
    assert (name, kind, metadata["version"], metadata["digest"]) == (
        "news-model", "model", "v1", version.digest,
    )  # fmt: skip
    assert again == (name, kind, path, metadata), "the same artifact, so that the alias moves"
    assert told.aliases == dict.fromkeys(("registry-v1", "champion"), path)
    assert told.referred == {path: context.lake.files.uri("models/v1")}


def test_a_rollback_is_told_with_both_versions(tmp_path: Path) -> None:
    context = open_project(tmp_path)
    for number in (1, 2):
        promote(context, number)
    registry = Registry(context.lake, context.attempt)
    registry.rollback("answers look wrong", by="ada")
    tell_move(context, registry.read())
    (journal,) = context.settings.journals.rglob("registry/**/*.jsonl")
    entries = read_journal(journal)
    told = [
        (e.data["metadata"]["version"], e.data["aliases"], e.data["refers_to"].rpartition("/")[2])
        for e in entries
        if e.kind == "artifact"
    ]
    assert told == [
        ("v2", ["registry-v2", "rolled-back"], "v2"),
        ("v1", ["registry-v1", "champion"], "v1"),
    ]
    (summary,) = (entry.data for entry in entries if entry.kind == "summary")
    assert summary == {"version": "v1", "previous": "v2", "cause": "rollback", "by": "ada"}
