"""Opening a stage's tracker: where it writes, how it closes, when the mirror is woken."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.settings import Settings
from lakeloop.tracking import tracker as module
from lakeloop.tracking.journal import JournalTracker, read_journal
from lakeloop.tracking.tracker import NoopTracker, RecordingTracker, Tracker, open_tracker


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Settings(root=Path.cwd(), home=tmp_path)


def test_all_trackers_speak_the_same_verbs(tmp_path: Path) -> None:
    recording = RecordingTracker()
    trackers: list[Tracker] = [NoopTracker(), recording]
    for tracker in trackers:
        tracker.config({"a": 1})
        tracker.log({"loss": 0.5}, step=2)
        tracker.table("t", ["x"], [[1]])
        tracker.artifact("m", "model", tmp_path)
        tracker.summary({"status": "done"})
        tracker.close()
    assert recording.logged == [(2, {"loss": 0.5})]
    assert recording.tables == {"t": (["x"], [[1]])}
    assert recording.exit_code == 0


def test_a_stage_writes_to_its_own_journal(settings: Settings) -> None:
    with open_tracker(
        settings, loop="news", stage="ingest", partition="2026-11-20", attempt=Attempt("run", 2)
    ) as tracker:
        assert isinstance(tracker, JournalTracker)
        tracker.log({"rows": 3})
    assert tracker.path.parent == settings.journals / "news" / "ingest" / "2026-11-20"
    assert read_journal(tracker.path)[0].data["run"] == "run#2"
    assert read_journal(tracker.path)[-1].data == {"exit_code": 0}


def test_a_failing_stage_closes_its_journal_and_wakes_the_mirror(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[Settings] = []
    monkeypatch.setattr(module, "wake_mirror", woken.append)
    with (
        pytest.raises(RuntimeError),
        open_tracker(settings, loop="a", stage="b", partition="c", attempt=Attempt("run")),
    ):
        raise RuntimeError
    (path,) = settings.journals.glob("a/b/c/*.jsonl")
    assert read_journal(path)[-1].data == {"exit_code": 1}
    assert woken == [settings]


def test_online_the_mirror_is_woken_at_the_start_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    woken: list[Settings] = []
    monkeypatch.setattr(module, "wake_mirror", woken.append)
    with open_tracker(settings, loop="a", stage="b", partition="c", attempt=Attempt("run")):
        assert len(woken) == 1
    assert len(woken) == 2
