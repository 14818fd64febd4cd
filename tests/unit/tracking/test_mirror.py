"""Which journals wait, and that no wake-up is lost. What W&B gets is tested in tests/integration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from lakeloop.errors import ServiceError
from lakeloop.records import now
from lakeloop.settings import Settings
from lakeloop.tracking import mirror, wake
from lakeloop.tracking.journal import JournalIdentity, JournalTracker, read_journal
from lakeloop.tracking.progress import (
    Mirrored,
    ended,
    mirrored,
    run_id,
    set_aside,
    take_back,
    waiting,
)
from lakeloop.tracking.replay import RefusedError


def _journal(journals: Path, run: str = "run#1", stage: str = "ingest") -> JournalTracker:
    identity = JournalIdentity("news", stage, "2026-11-20", run)
    return JournalTracker(identity.path(journals), identity)


def _done(path: Path, *, size: int | None = None) -> Mirrored:
    size = path.stat().st_size if size is None else size
    return Mirrored(size=size, mode="offline", run_id="a", run="/runs/a", exit_code=0, finished_at=now())


def test_a_journal_waits_until_all_of_it_is_mirrored(tmp_path: Path) -> None:
    tracker = _journal(tmp_path)
    assert waiting(tmp_path) == [tracker.path]
    assert ended(tmp_path) == []
    tracker.close()
    assert ended(tmp_path) == [tracker.path]
    _done(tracker.path, size=tracker.path.stat().st_size - 1).write(tracker.path)
    assert ended(tmp_path) == [tracker.path]
    _done(tracker.path).write(tracker.path)
    assert waiting(tmp_path) == []
    _journal(tmp_path).close()
    assert ended(tmp_path) == [tracker.path]


def test_a_spoiled_marker_means_mirror_again(tmp_path: Path) -> None:
    tracker = _journal(tmp_path)
    tracker.close()
    _done(tracker.path).write(tracker.path)
    (marker,) = tmp_path.rglob("*.mirrored.json")
    marker.write_text("{")
    assert mirrored(tracker.path) is None
    assert waiting(tmp_path) == [tracker.path]


def test_run_ids_are_stable_and_distinct(tmp_path: Path) -> None:
    paths = []
    for run, stage in (("run#1", "ingest"), ("run#2", "ingest"), ("run#1", "validate")):
        tracker = _journal(tmp_path, run, stage)
        tracker.close()
        paths.append(tracker.path)
    ids = [run_id(read_journal(path)[0]) for path in paths]
    assert len(set(ids)) == 3
    assert ids == [run_id(read_journal(path)[0]) for path in paths]


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    with wake.mirror_lock(tmp_path) as first, wake.mirror_lock(tmp_path) as second:
        assert first
        assert not second
    with wake.mirror_lock(tmp_path) as third:
        assert third


def test_a_second_mirror_leaves_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "Mirror", None)
    with wake.mirror_lock(tmp_path):
        mirror.run(tmp_path, tmp_path, online=False, linger=60)


def test_a_mark_left_while_the_mirror_was_leaving_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[float] = []

    class LeavingMirror:
        unfinished = False

        def __init__(self, journals: Path, wandb_dir: Path, **_: object) -> None: ...

        def serve(self, linger: float) -> None:
            wake.take_mark(tmp_path)
            if not served:
                wake.leave_mark(tmp_path)  # a waker that found the lock taken, after the last look
            served.append(linger)

    monkeypatch.setattr(mirror, "Mirror", LeavingMirror)
    mirror.run(tmp_path, tmp_path, online=False, linger=0)
    assert len(served) == 2


def test_a_waker_starts_no_second_mirror_and_leaves_its_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    settings = Settings(root=Path.cwd(), home=tmp_path)
    started: list[Settings] = []
    monkeypatch.setattr(wake, "_start", started.append)
    with wake.mirror_lock(settings.journals):
        wake.wake_mirror(settings)
    assert started == []
    assert wake.is_marked(settings.journals)
    wake.wake_mirror(settings)
    assert started == [settings]


def test_disabled_wakes_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    settings = Settings(root=Path.cwd(), home=tmp_path)
    wake.wake_mirror(settings)
    assert not settings.journals.exists()
    assert mirror.mirror_pending(settings) == 0


def test_a_waker_never_fails_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    home = tmp_path / "file"
    home.write_text("not a folder")
    wake.wake_mirror(Settings(root=Path.cwd(), home=home))


class _Replay:
    """Stands for the client: W&B takes a journal, or does not, as `TROUBLE` says by the names of stages."""

    trouble: ClassVar[dict[str, Exception]] = {}
    begun: ClassVar[list[str]] = []

    def __init__(self, path: Path, wandb_dir: Path, *, online: bool) -> None:
        self.path = path

    def advance(self) -> None:
        stage = self.path.parts[-3]
        self.begun.append(stage)
        if error := self.trouble.get(stage):
            raise error

    def finish(self) -> Mirrored:
        done = _done(self.path)
        done.write(self.path)
        return done


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> type[_Replay]:
    monkeypatch.setattr(mirror, "Replay", _Replay)
    monkeypatch.setattr(mirror, "_TICK_SECONDS", 0.0)
    _Replay.trouble.clear()
    _Replay.begun.clear()
    return _Replay


AWAY = ServiceError("W&B did not take the run", found="CommError: timed out")


def test_a_refused_journal_is_set_aside_with_the_reason_until_it_is_taken_back(
    tmp_path: Path, replayed: type[_Replay]
) -> None:
    for stage in ("deleted", "after"):
        _journal(tmp_path, stage=stage).close()
    replayed.trouble["deleted"] = RefusedError("refused", found="CommError: HTTP 409")
    assert not mirror.run(tmp_path, tmp_path, online=True, linger=0)
    assert waiting(tmp_path) == []
    ((journal, found),) = set_aside(tmp_path, "news")
    assert (journal.parts[-3], found.reason) == ("deleted", "CommError: HTTP 409")
    assert list(set_aside(tmp_path, "other")) == []

    replayed.trouble.clear()
    mirror.run(tmp_path, tmp_path, online=True, linger=0)
    assert replayed.begun == ["deleted", "after"], "it was not tried again unasked"
    assert take_back(tmp_path) == 1
    assert mirror.run(tmp_path, tmp_path, online=True, linger=0)
    assert (list(set_aside(tmp_path)), waiting(tmp_path)) == ([], [])


def test_a_journal_that_fails_while_others_pass_is_set_aside_after_three_mirrors(
    tmp_path: Path, replayed: type[_Replay]
) -> None:
    _journal(tmp_path, stage="broken").close()
    replayed.trouble["broken"] = AWAY
    for number in range(3):
        assert list(set_aside(tmp_path)) == []
        _journal(tmp_path, stage=f"good{number}").close()
        mirror.run(tmp_path, tmp_path, online=True, linger=0)
    ((journal, found),) = set_aside(tmp_path)
    assert (journal.parts[-3], found.tries) == ("broken", 3)
    assert replayed.begun == ["broken", "good0", "good1", "broken", "good2", "broken"], "it comes last"


def test_two_that_fail_in_a_row_mean_that_wandb_is_away_and_nothing_is_set_aside(
    tmp_path: Path, replayed: type[_Replay]
) -> None:
    for stage in ("one", "two", "three"):
        _journal(tmp_path, stage=stage).close()
        replayed.trouble[stage] = AWAY
    for _ in range(5):
        with pytest.raises(ServiceError):
            mirror.run(tmp_path, tmp_path, online=True, linger=0)
    assert list(set_aside(tmp_path)) == []
    assert len(waiting(tmp_path)) == 3
    replayed.trouble.clear()
    mirror.run(tmp_path, tmp_path, online=True, linger=0)
    assert waiting(tmp_path) == []


def test_one_that_fails_alone_waits_for_as_long_as_it_takes(tmp_path: Path, replayed: type[_Replay]) -> None:
    tracker = _journal(tmp_path, stage="alone")
    tracker.close()
    replayed.trouble["alone"] = AWAY
    for _ in range(5):
        with pytest.raises(ServiceError):
            mirror.run(tmp_path, tmp_path, online=True, linger=0)
    assert waiting(tmp_path) == [tracker.path]


def test_importing_what_stages_use_loads_no_wandb() -> None:
    code = "import sys, lakeloop.tracking.tracker, lakeloop.tracking.mirror; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
