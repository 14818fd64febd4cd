"""A W&B that refuses one run, is busy, and takes tables and artifacts: the real client against a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.redaction import HIDDEN
from lakeloop.tracking.journal import read_journal
from lakeloop.tracking.progress import ended, mirrored, run_id, set_aside, take_back
from lakeloop.tracking.wake import mirror_lock
from tests.support.mirroring import isolate, mirror, report_stage
from tests.support.wandb_server import wandb_server

pytestmark = pytest.mark.slow


def _trouble_of(journals: dict[str, Path]) -> Callable[[str, str], int]:
    """What is answered: a run was deleted, another one comes at busy times, the rest is taken."""
    ids = {run_id(read_journal(path)[0]): stage for stage, path in journals.items()}
    busy = [429, 500, 503]

    def trouble(what: str, run: str) -> int:
        stage = ids.get(run, "")
        if stage == "deleted" and what == "UpsertBucket":
            return 409
        return busy.pop() if stage == "busy" and what == "stream" and busy else 200

    return trouble


def test_what_wandb_refuses_is_set_aside_and_the_others_are_taken_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = isolate(monkeypatch, tmp_path)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "2")
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "30")
    with wandb_server() as online:
        monkeypatch.setenv("WANDB_BASE_URL", online.url)
        with mirror_lock(settings.journals):  # the mirror that they wake is the one below
            journals = {stage: report_stage(settings, stage) for stage in ("deleted", "busy", "old")}
        # As an earlier version left it: redacted by what was known to be secret then.
        journals["old"].write_bytes(
            journals["old"].read_bytes().replace(b'"lora"', b'"postgresql://me:p/w@db"')
        )
        online.trouble = _trouble_of(journals)
        mirror(settings)

        ((journal, found),) = set_aside(settings.journals)
        assert (journal, ended(settings.journals)) == (journals["deleted"], [])
        assert "HTTP 409" in found.reason
        runs = {run.attributes["jobType"]: run for run in online.runs.values()}
        assert runs.keys() == {"busy", "old"}
        assert runs["old"].config["method"] == f"postgresql://{HIDDEN}@db"
        assert {status for what, _, status in online.asked if what == "stream"} == {200, 429, 500, 503}
        for run in runs.values():
            assert [run.history[number]["_step"] for number in range(7)] == list(range(7)), "no point is lost"
            (table,) = [json.loads(run.files[name]) for name in run.files if name.endswith(".table.json")]
            assert table == {"columns": ["text", "score"], "data": [["one", 0.25], ["two", None]]}
        kinds = [artifact.described["artifactTypeName"] for artifact in online.artifacts.values()]
        assert sorted(kinds) == ["dataset"] * 4 + ["run_table"] * 2
        assert [one.described for one in online.artifacts.values() if not one.committed] == []

        used = [run for what, run, _ in online.asked if what == "UseArtifact"]
        assert sorted(used) == sorted(online.runs), "each run is tied to what it was made from"

        online.trouble = lambda _what, _run: 200
        assert take_back(settings.journals) == 1
        mirror(settings)
        assert mirrored(journals["deleted"]) is not None
        assert list(set_aside(settings.journals)) == []
