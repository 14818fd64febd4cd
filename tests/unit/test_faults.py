"""A fault point kills when it is named, and is nothing otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.faults import POINTS, reach

PROGRAM = "from lakeloop.faults import reach; reach('{point}'); print('alive')"


def run(point: str, wanted: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAKELOOP_FAULT": wanted}
    argv = [sys.executable, "-c", PROGRAM.format(point=point)]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def test_the_named_point_kills_as_by_kill_9() -> None:
    done = run("ingest.before-commit", "ingest.before-commit")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == ""


def test_another_point_goes_on() -> None:
    assert run("ingest.before-commit", "ingest.after-commit").stdout == "alive\n"


def test_without_the_variable_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKELOOP_FAULT", raising=False)
    for point in POINTS:
        reach(point)


def test_a_mistyped_point_is_no_silent_success(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = r"no such fault point\n  expected: ingest\..*\n  found: ingest\.x"
    with pytest.raises(ConfigurationError, match=expected):
        reach("ingest.x")
    monkeypatch.setenv("LAKELOOP_FAULT", "train.mid-epok")
    with pytest.raises(ConfigurationError, match=r"found: train\.mid-epok"):
        reach("train.mid-epoch")
