"""Locks of files: held by one process, waited for when that is asked, freed by a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakeloop.locks import is_locked, locked, take

HOLD = """
import sys, time
from pathlib import Path
from lakeloop.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held_elsewhere(path: Path, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", HOLD, str(path), str(seconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_is_for_one_process_and_a_kill_frees_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path) as process:
        assert is_locked(path)
        with locked(path, wait=False) as mine:
            assert not mine
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_locked(path)
        with locked(path, wait=False) as mine:
            assert mine
    assert not is_locked(path)


def test_who_waits_gets_it_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path, seconds=0.3), locked(path) as mine:
        assert mine


def test_waiting_ends_in_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_elsewhere(path):
        descriptor = os.open(path, os.O_RDWR)
        begun = time.monotonic()
        assert not take(descriptor, seconds=0.2)
        assert 0.2 <= time.monotonic() - begun < 5
        os.close(descriptor)


def test_the_content_of_a_locked_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("a line\n")
    with locked(path):
        assert path.read_text() == "a line\n"
