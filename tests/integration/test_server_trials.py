"""Trials on a real server under load: versions come, win and go, and no request fails by it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from tests.integration.test_server import FAST
from tests.support.load import Load, logged
from tests.support.serving import ServerProcess, open_project, promote, register

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

BACK_SECONDS = 5.0
"""After the end of a trial, or a rollback, in the registry: the version answers nobody any more."""


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return open_project(tmp_path / "project")


@pytest.fixture
def start(context: StageContext) -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server with version 1 as champion and version 2 beside it; limits by name."""
    running: list[ServerProcess] = []

    def started(phase: Any = "canary", share: float = 0.5, **limits: object) -> ServerProcess:
        promote(context, 1)
        tried = register(context, 2)
        server = ServerProcess.start(context.settings, **limits)
        running.append(server)
        server.await_answer("/readyz")
        Registry(context.lake).begin_trial(
            tried.name, phase, share, over="v1", reason="for a test", cause="test"
        )
        return server

    yield started
    for server in running:
        server.kill()


def await_challenger(server: ServerProcess) -> dict[str, Any]:
    """What the server says of the version beside the champion, once it is asked."""
    return await_that(server, lambda found: found is not None and found["loaded_at"]) or {}


def await_that(
    server: ServerProcess, holds: Callable[[dict[str, Any] | None], object]
) -> dict[str, Any] | None:
    deadline = time.monotonic() + 20
    while True:
        found: dict[str, Any] | None = httpx.get(f"{server.url}/v1/model").json()["challenger"]
        if holds(found):
            return found
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.02)


def observed(context: StageContext) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = context.lake.read("observations").to_pylist()
    return rows


def by_version(context: StageContext) -> Counter[str]:
    """Rows of the table `predictions`."""
    return Counter(context.lake.read("predictions", columns=["model_version"])["model_version"].to_pylist())


@pytest.mark.parametrize("taken_back", ["end_trial", "rollback"])
def test_a_trial_that_is_ended_is_over_within_five_seconds_by_the_default_settings(
    context: StageContext, start: Callable[..., ServerProcess], taken_back: str
) -> None:
    registry, server = Registry(context.lake), start(flush_seconds=0.2)
    await_challenger(server)
    with Load(server.url, ordered=False) as load:
        time.sleep(1)
        if taken_back == "rollback":  # it won before that
            promote(context, 2)
            server.await_answer("/v1/model", version="v2")
            registry.rollback(reason="it does harm")
        else:
            registry.end_trial("v2", reason="it does harm")
        ended = time.monotonic()
        time.sleep(BACK_SECONDS + 1)
    server.terminate()

    assert load.failures == []
    assert load.last["v1"] > ended + BACK_SECONDS
    assert 0 < load.last["v2"] - ended < BACK_SECONDS
    assert set(load.answered.values()) == {"v1", "v2"}
    assert logged(context) == Counter(dict.fromkeys(load.answered, 2))
    assert by_version(context) == Counter({v: 2 * n for v, n in Counter(load.answered.values()).items()})


def test_a_canary_that_wins_takes_over_under_load(
    context: StageContext, start: Callable[..., ServerProcess]
) -> None:
    server = start(**FAST)
    await_challenger(server)
    with Load(server.url, ordered=False) as load:
        time.sleep(0.5)
        promote(context, 2)
        server.await_answer("/v1/model", version="v2")
        moved = time.monotonic()
        time.sleep(1)
    server.terminate()

    assert load.failures == []
    assert load.last["v1"] < moved + 0.5 < load.last["v2"]
    assert server.log.read_text().count("news: v2 (digest") == 1
    assert logged(context) == Counter(dict.fromkeys(load.answered, 2))
    assert observed(context) == []


def test_a_shadow_is_in_the_lake_after_a_kill_and_no_answer_is_its(
    context: StageContext, start: Callable[..., ServerProcess]
) -> None:
    server = start("shadow", 0.0, poll_seconds=0.05, flush_seconds=60)
    await_challenger(server)
    for number in range(30):
        asked = {"texts": ["tech", "sports"], "request_id": f"r{number}"}
        assert httpx.post(f"{server.url}/v1/predict", json=asked).json()["model_version"] == "v1"
    await_that(server, lambda found: found and found["requests"] == 30)
    server.kill()
    restarted = ServerProcess.start(context.settings, **FAST)
    restarted.await_answer("/readyz")
    restarted.terminate()

    rows = observed(context)
    assert Counter(row["request_id"] for row in rows) == Counter({f"r{n}": 2 for n in range(30)})
    assert {(row["model_version"], row["role"], row["error"]) for row in rows} == {("v2", "shadow", None)}
    assert by_version(context) == Counter(v1=60)


def test_a_damaged_challenger_is_refused_and_clients_see_nothing_of_it(
    context: StageContext, start: Callable[..., ServerProcess]
) -> None:
    promote(context, 1)
    damaged = register(context, 2)
    (Path(context.lake.files.uri(damaged.folder_name)) / "model.onnx").write_bytes(b"damaged")
    server = start(share=0.9, **FAST)
    with Load(server.url) as load:
        found = await_that(server, lambda found: found and found["refused"])
        time.sleep(0.5)

    assert found is not None
    assert "model.onnx" in found["refused"]
    assert load.failures == []
    assert set(load.answered.values()) == {"v1"}
    assert httpx.get(f"{server.url}/v1/model").json()["refused"] is None
    assert "v2 is refused, and not tried" in server.log.read_text()
