"""Which journals wait, and that no wake-up is lost. What W&B gets is tested in tests/integration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.records import now
from lakeloop.settings import Settings
from lakeloop.tracking import mirror, wake
from lakeloop.tracking.journal import JournalIdentity, JournalTracker, read_journal
from lakeloop.tracking.progress import Mirrored, ended, mirrored, run_id, waiting


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
        def __init__(self, journals: Path, wandb_dir: Path, *, online: bool) -> None: ...

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


def test_importing_what_stages_use_loads_no_wandb() -> None:
    code = "import sys, lakeloop.tracking.tracker, lakeloop.tracking.mirror; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
