"""What tests of the mirror share: an installation of its own, a stage that says something with every verb."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.settings import Settings
from lakeloop.tracking import wake
from lakeloop.tracking.journal import JournalTracker
from lakeloop.tracking.tracker import Tracker, open_tracker

SECRET = "hunter2-but-longer"


def isolate(patch: pytest.MonkeyPatch, folder: Path) -> Settings:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        patch.delenv(name)
    patch.setenv("WANDB_MODE", "offline")
    patch.setenv("HOME", str(folder / "home"))
    patch.setattr(wake, "LINGER_SECONDS", 0.5)
    return Settings(root=Path.cwd(), home=folder / "lakeloop")


def mirror(settings: Settings, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one mirror to its end, as `wake_mirror` starts it but without lingering."""
    argv = [sys.executable, "-m", "lakeloop.tracking.mirror", "--journals", str(settings.journals)]
    argv += ["--wandb-dir", str(settings.wandb_dir), "--linger", "0"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=check)


def report(tracker: Tracker, folder: Path) -> None:
    """Say something with every verb."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.parquet").write_bytes(b"rows")
    tracker.config({"method": "lora", "train": {"epochs": 3}, "store": {"account_key": SECRET}})
    tracker.config({"command": f"--with {SECRET}"})
    for step in range(5):
        tracker.log({"train/loss": 1 / (step + 1)}, step=step * 10)
    tracker.log({"rows": 7.0})
    tracker.table("worst texts", ["text", "score"], [["one", 0.25], ["two", None]])
    tracker.artifact("news dataset", "dataset", folder, {"digest": "sha256:abc"})
    tracker.artifact("the days before", "dataset", folder / "rows.parquet", used=True)
    tracker.summary({"status": "done", "macro_f1": 0.97, "why": f"because {SECRET}"})


def report_stage(settings: Settings, stage: str = "train") -> Path:
    with open_tracker(
        settings, loop="news", stage=stage, partition="2026-11-20", attempt=Attempt("run")
    ) as tracker:
        report(tracker, settings.home / "work" / stage)
    assert isinstance(tracker, JournalTracker)
    return tracker.path
