from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakeloop.serving import watch
from lakeloop.serving.metrics import LoopMetrics, ServerMetrics
from tests.support.app import Server
from tests.support.serving import FolderSource
from tests.support.watching import Champion


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    return FolderSource(tmp_path / "registry")


@pytest.fixture
def metrics() -> ServerMetrics:
    return ServerMetrics()


@pytest.fixture
def loop_metrics(metrics: ServerMetrics) -> LoopMetrics:
    """The part of `metrics` for the loop `news`."""
    return metrics.of_loop("news")


@pytest.fixture
def champion(source: FolderSource, tmp_path: Path, metrics: ServerMetrics) -> Champion:
    return Champion(source, tmp_path / "cache", metrics)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The one number is the time, in seconds; a test moves it on."""
    now = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def empty(tmp_path: Path, source: FolderSource) -> Iterator[Server]:
    """A server whose registry has no champion yet."""
    server = Server(tmp_path, source)
    with server.client:
        yield server


@pytest.fixture
def server(empty: Server, source: FolderSource) -> Server:
    """A server with version 1 in use."""
    source.promote(1)
    empty.await_version("v1")
    return empty
