"""Nothing half looks whole, and what a link leads to is never touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.removal import GOING, remove

SLOWLY = """
import shutil, sys, time
from pathlib import Path
import lakeloop.removal as removal
def begin(path):
    next(Path(path).iterdir()).unlink()
    print("begun", flush=True)
    time.sleep(60)
removal.shutil.rmtree = begin
removal.remove(Path(sys.argv[1]))
"""


def test_a_removal_that_is_killed_leaves_nothing_by_that_name_and_is_finished_by_the_next(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "job-1"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_text("whole")
    with subprocess.Popen([sys.executable, "-c", SLOWLY, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(GOING)
    assert len([*left.iterdir()]) == 2
    remove(left)
    assert not [*tmp_path.iterdir()]


def test_links_go_as_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("stays")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    remove(folder)
    (tmp_path / "to").symlink_to(outside)
    remove(tmp_path / "to")
    assert [path.name for path in tmp_path.rglob("*")] == ["outside", "theirs"]


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove(tmp_path / "nothing")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may remove everything")
def test_what_may_not_be_removed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "file").write_text("")
    (tmp_path / "closed").chmod(0o500)
    with pytest.raises(PermissionError):
        remove(tmp_path / "closed" / "file")
    (tmp_path / "closed").chmod(0o700)
