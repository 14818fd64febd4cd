"""How often processes that import heavy libraries look for garbage."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lakeloop.garbage import THRESHOLDS

PROGRAMS = {
    "command": "from lakeloop.cli.main import main\ntry: main(['--version'])\nexcept SystemExit: pass",
    "training job": "import training.train",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_process_of_heavy_imports_looks_for_garbage_rarely(program: str) -> None:
    code = f"{PROGRAMS[program]}\nimport gc; print(gc.get_threshold())"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.splitlines()[-1] == str(THRESHOLDS)


def test_the_library_leaves_the_collector_of_others_alone() -> None:
    code = "import gc; before = gc.get_threshold()\nimport lakeloop.lake\nassert gc.get_threshold() == before"
    subprocess.run([sys.executable, "-c", code], check=True)
