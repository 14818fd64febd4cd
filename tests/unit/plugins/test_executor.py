"""In a process of its own: what is imported here would be there already."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
STARTED = """
import json, os, sys
sys.path.insert(0, {plugins!r})
from airflow.executors.local_executor import LocalExecutor
from lakeloop_airflow import executor
executor.PRELOADED += {more!r}

def forked(self):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(sorted(sys.modules)).encode())
        os._exit(0)
    os.close(write)
    print(open(read).read())

LocalExecutor.start = forked
executor.PreloadingExecutor(parallelism=1).start()
"""


def modules_of_a_fork(tmp_path: Path, *more: str) -> set[str]:
    """The modules that a process has which is forked where LocalExecutor forks its workers."""
    done = subprocess.run(
        [sys.executable, "-c", STARTED.format(plugins=str(PLUGINS), more=more)],
        env={"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_a_task_finds_the_slow_imports_done_and_nothing_that_a_fork_breaks(tmp_path: Path) -> None:
    found = modules_of_a_fork(tmp_path, "no_such_library")  # which keeps no scheduler from starting
    assert {"pandas", "pyarrow.dataset", "dbt.cli.main", "great_expectations"} <= found
    assert not {"deltalake", "duckdb", "onnxruntime", "torch"} & found
    assert not {name for name in found if name.startswith("lakeloop.stages")}
