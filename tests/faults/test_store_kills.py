"""The whole loop on an S3 server, through kills of its processes and of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLS = 6


def test_no_row_is_lost_or_doubled_by_kills_of_processes_and_of_the_server(root: Path) -> None:
    # A process of its own: it is forked, and none of its threads may have asked a store before.
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.store_kills", "--kills", str(KILLS)],
        cwd=root,
        env={**os.environ, "RUST_BACKTRACE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["killed"] >= KILLS // 2, "a try may come to its end before it is killed"
