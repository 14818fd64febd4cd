"""The graph that is traced beside a training: it is there at the end, or is traced then; nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lakeloop.artifact import open_artifact
from tests.support.base_table import METHODS
from tests.support.waiting import until
from training import ahead, graph
from training.ahead import has_room, traced_ahead
from training.job import Job, run
from training.job_config import JobConfig
from training.network import Network
from training.ranks import Ranks
from training.trace import network_of
from training.train import train

MakeConfig = Callable[..., JobConfig]


@pytest.fixture
def write(make_config: MakeConfig, tmp_path: Path) -> Callable[..., Path]:
    """Write the config of a job whose cache is empty; returns its path."""

    def make(method: Any = "full", folder: str = "work") -> Path:
        config = make_config(method, epochs=1).model_copy(update={"cache": tmp_path / "empty"})
        path = tmp_path / folder / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(config.model_dump_json())
        return path

    return make


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The processes that are started beside; there is room for them."""
    found: list[subprocess.Popen[bytes]] = []
    whole = ahead._start

    def start(config: Path) -> subprocess.Popen[bytes] | None:
        if process := whole(config):
            found.append(process)
        return process

    monkeypatch.setattr(ahead, "has_room", lambda _: True)
    monkeypatch.setattr(ahead, "_start", start)
    yield found
    assert all(process.poll() is not None for process in found), "it is left running"


def traced_here(monkeypatch: pytest.MonkeyPatch) -> list[Network]:
    """The networks that this process traces itself."""
    found: list[Network] = []
    whole = graph.traced

    def traced(network: Network) -> Any:
        found.append(network)
        return whole(network)

    monkeypatch.setattr(graph, "traced", traced)
    return found


@pytest.mark.slow  # a process that imports torch, and traces
def test_a_training_finds_the_graph_that_was_traced_beside_and_the_next_starts_nothing(
    write: Callable[..., Path], started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = traced_here(monkeypatch)
    path = write({"kind": "prompt", "tokens": 3})  # a network with a part that it keeps
    run(path, train)
    assert traced == []
    assert [process.returncode for process in started] == [0]
    assert open_artifact(path.parent / "artifact")
    again = write({"kind": "prompt", "tokens": 3}, folder="again")
    run(again, train)
    assert (len(started), traced) == (1, [])


@pytest.mark.slow
def test_what_fails_beside_is_done_at_the_end(
    write: Callable[..., Path],
    started: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ahead, "_MODULE", "training.nothing")
    traced = traced_here(monkeypatch)
    caplog.set_level("INFO")
    path = write()
    run(path, train)
    assert len(traced) == 1
    assert "it was not traced beside (exit code 1)" in caplog.text
    assert open_artifact(path.parent / "artifact")


def test_nothing_is_left_of_a_training_that_ends_before(
    write: Callable[..., Path], started: list[Any]
) -> None:
    def end(_job: Job) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(write(), end)
    (process,) = started
    assert process.returncode == -signal.SIGKILL
    assert list((write().parents[1] / "empty").rglob("*.known")) == []


@pytest.mark.slow
def test_nothing_is_left_of_a_training_that_is_killed(write: Callable[..., Path]) -> None:
    config = write()
    told, tell = os.pipe()
    if (parent := os.fork()) == 0:  # a process that need not import torch again
        try:
            started = ahead._start(config)
            os.write(tell, str(started.pid if started else 0).encode())
            time.sleep(60)
        finally:
            os._exit(1)
    beside = psutil.Process(int(os.read(told, 20)))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    os.close(told)
    os.close(tell)
    until(lambda: not beside.is_running() or beside.status() == psutil.STATUS_ZOMBIE)


def test_methods_without_steps_start_nothing(
    write: Callable[..., Path], make_job: Callable[..., Job]
) -> None:
    assert [ahead._has_steps(make_job(method)) for method in ("full", "head", "classical")] == [
        True,
        False,
        False,
    ]
    other = make_job("full")
    other.ranks = Ranks(1, 2)
    assert not ahead._has_steps(other)


@pytest.mark.parametrize(
    ("kind", "cores", "threads", "load", "room"),
    [
        ("cpu", 2, 2, 0.0, False),
        ("cpu", 2, 1, 0.4, False),
        ("cpu", 8, 8, 0.0, False),
        ("cpu", 8, 4, 1.5, True),
        ("cpu", 8, 4, 3.5, False),
        ("cuda", 1, 1, 0.0, False),
        ("cuda", 16, 16, 9.0, True),
    ],
)
def test_there_is_room_beside_a_gpu_and_beside_a_cpu_with_a_core_to_spare(
    monkeypatch: pytest.MonkeyPatch, kind: str, cores: int, threads: int, load: float, room: bool
) -> None:
    monkeypatch.setattr(ahead, "usable_cores", lambda: cores)
    monkeypatch.setattr(ahead.os, "getloadavg", lambda: (load, 0.0, 0.0))
    device = SimpleNamespace(target=SimpleNamespace(type=kind), threads=threads)
    job: Any = SimpleNamespace(device=device, ranks=Ranks())
    assert has_room(job) is room


@pytest.mark.parametrize("method", [kind for kind in METHODS if kind != "classical"])
def test_the_network_beside_is_of_the_architecture_that_the_training_leaves(
    make_job: Callable[..., Job], make_config: MakeConfig, method: str
) -> None:
    section = {"kind": method, **METHODS[method]}
    trained = train(make_job(section, epochs=1)).network.to("cpu").eval()
    assert isinstance(trained, Network)
    assert graph._key(network_of(make_config(section))) == graph._key(trained)


def test_the_block_says_nothing_where_there_is_no_room(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ahead, "has_room", lambda _: False)
    monkeypatch.setattr(ahead, "_start", lambda _: pytest.fail("it was started"))
    with traced_ahead(tmp_path / "config.json", make_job("full")) as wait:
        wait()
