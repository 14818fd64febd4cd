"""A server of several processes: one port, no answer lost when one of them dies, and counted together."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from lakeloop.stages.frame.session import StageContext
from tests.integration.test_server import FAST
from tests.support.load import Load, kill_workers, logged, workers
from tests.support.serving import ServerProcess, open_project, promote
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return open_project(tmp_path / "project")


@pytest.fixture
def server(context: StageContext) -> Iterator[ServerProcess]:
    promote(context, 1)
    running = ServerProcess.start(context.settings, processes=2, **FAST)
    yield running
    running.kill()


def test_a_worker_killed_each_second_fails_no_request_and_loses_no_answer(
    context: StageContext, server: ServerProcess
) -> None:
    # Twice: on a busy machine one may take longer than until the next kill; `benchmarks.kills` asks once.
    with Load(server.url, retries=2) as load:
        killed = kill_workers(server.process.pid, seconds=8)
    status = server.terminate()

    assert killed >= 3
    assert load.failures == []
    assert len(load.answered) > 20
    rows = logged(context)
    # One that was answered by a process that died before its client had it is there again.
    assert all(rows[name] in (2, 4, 6) for name in load.answered)
    assert sum(rows[name] > 2 for name in load.answered) <= load.again
    assert status == -signal.SIGTERM


def test_all_processes_answer_and_are_counted_together(server: ServerProcess) -> None:
    server.await_answer("/readyz")
    asked = 40
    for number in range(asked):  # each on a connection of its own
        httpx.post(f"{server.url}/v1/predict", json={"texts": [f"tech {number}"]}).raise_for_status()

    def numbers() -> str:
        return httpx.get(f"{server.url}/metrics").text

    until(lambda: f'path="/v1/predict"}} {asked}.0' in numbers(), numbers)
    texts = numbers()
    assert re.search(r'lakeloop_model_info{digest="\w+",loop="news",version="v1"} 1.0', texts)
    before = {process.pid for process in workers(server.process.pid)}
    assert len(before) == 2
    psutil.Process(min(before)).kill()

    def others() -> bool:
        after = {process.pid for process in workers(server.process.pid)}
        return len(after) == 2 and after != before

    until(others)
    assert f'path="/v1/predict"}} {asked}.0' in httpx.get(f"{server.url}/metrics").text


def test_without_their_parent_the_processes_end_too(server: ServerProcess) -> None:
    left = workers(server.process.pid)
    assert len(left) == 2
    server.process.kill()
    server.process.wait()

    _, alive = psutil.wait_procs(left, timeout=20)
    assert alive == []


def test_processes_that_cannot_start_end_the_server(context: StageContext) -> None:
    lake = Path(context.settings.lake) / "news" / "predictions" / "_delta_log"
    for file in lake.glob("*.json"):
        file.write_text("no table")
    with pytest.raises(AssertionError, match="cannot be served"):
        ServerProcess.start(context.settings, processes=2, **FAST)
