"""What processes of ours leave for temporary files is gone after them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lakeloop.temporary import PREFIX, abandoned, for_children, for_this_process, sweep, system_folder

STAYS = """
import tempfile, time
from lakeloop.temporary import for_this_process
with for_this_process():
    tempfile.mkdtemp(prefix="pymp-")
    print(tempfile.gettempdir(), flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_gone_when_the_block_ends_and_the_system_has_its_own_again(system: Path) -> None:
    with for_this_process():
        own = Path(tempfile.gettempdir())
        assert own.name.startswith(PREFIX)
        assert (own.parent, os.environ["TMPDIR"], system_folder()) == (system, str(own), system)
        (own / "file").write_text("")
    assert tempfile.gettempdir() == str(system) == os.environ["TMPDIR"]
    assert not [*system.iterdir()]


def test_one_of_a_process_within_another_lies_beside_it(system: Path) -> None:
    with for_this_process(), for_children() as own:
        assert Path(own.environment["TMPDIR"]).parent == system


def test_that_of_a_killed_process_is_removed_by_the_next_and_that_of_a_live_one_stays(system: Path) -> None:
    command = [sys.executable, "-c", STAYS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        sweep()
        assert [path.name[:5] for path in folder.iterdir()] == ["pymp-"]
        process.send_signal(signal.SIGKILL)
    assert [*abandoned()] == [folder]
    with for_children():
        assert not folder.exists()
    assert not [*system.iterdir()]


def test_a_child_that_outlives_its_parent_keeps_it(system: Path) -> None:
    with for_children() as own:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=own.descriptors
        )
        (kept := system / f"{PREFIX}kept").mkdir()
        assert [*abandoned()] == [kept]
        child.communicate(b"\n")


def test_where_none_can_be_made_there_is_none(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with for_this_process():
        assert tempfile.gettempdir() == str(system)
