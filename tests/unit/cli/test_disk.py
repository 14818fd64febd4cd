"""lakeloop disk: the table, what would go, what went, and what could not."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lakeloop.settings import get_settings
from tests.support.command import Run


@pytest.fixture
def old(project: Path) -> Path:
    """What the checks of a day left long ago."""
    path = get_settings(root=project).home / "work/tickets/validate/2026-01-01/audit/rows.duckdb"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 2_000_000)
    then = time.time() - 20 * 24 * 3600
    os.utime(path, (then, then))
    return path


def test_it_shows_each_kind_and_what_would_go(run: Run, old: Path) -> None:
    shown = run("disk", "tickets")
    assert shown.code == 0, shown.err
    (line,) = (line for line in shown.out.splitlines() if line.startswith("days "))
    assert line.split()[3:8] == ["1", "2.0", "2.0", "20", "d"]
    assert "2.0 MB beyond the limits" in shown.out
    kinds = {each["kind"]: each for each in json.loads(run("disk", "--json").out)}
    assert kinds["days"]["going"][0]["reason"] == "made more than 14 days ago"
    assert "cache" in kinds
    assert "cache" not in {each["kind"] for each in json.loads(run("disk", "tickets", "--json").out)}


def test_a_dry_run_names_what_would_go_and_removes_nothing(run: Run, old: Path) -> None:
    shown = run("disk", "--clean", "--dry-run")
    assert f"days: {old.parent}, 2.0 MB: made more than 14 days ago" in shown.out
    assert "nothing was removed" in shown.out
    assert old.exists()


def test_clean_removes_it_once(run: Run, old: Path) -> None:
    assert "days: 1 removed, 2.0 MB\n2.0 MB freed" in run("disk", "--clean").out
    assert not old.exists()
    assert run("disk", "--clean").out.strip() == "0.0 MB freed"


def test_what_cannot_be_removed_ends_with_an_exit_code_and_a_sentence(
    run: Run, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("lakeloop.disk.base.remove", refuse)
    ended = run("disk", "--clean")
    assert ended.code == 75
    assert "cannot be removed" in ended.err


def test_a_loop_that_is_not_there_and_a_wrong_limit_are_errors(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("disk", "nothing").code == 64
    monkeypatch.setenv("LAKELOOP_DISK_CACHE_GB", "much")
    wrong = run("disk")
    assert (wrong.code, "LAKELOOP_DISK_CACHE_GB" in wrong.err) == (64, True)


def test_a_broken_loop_file_leaves_out_its_loop_alone(run: Run, project: Path, old: Path) -> None:
    broken = project / "loops" / "broken" / "loop.yaml"
    broken.parent.mkdir()
    broken.write_text("name: 3")
    shown = run("disk")
    assert (shown.code, "loop broken is left out" in shown.err) == (0, True)
    assert "days " in shown.out
