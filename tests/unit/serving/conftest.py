from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.serving.metrics import LoopMetrics, ServerMetrics
from tests.support.serving import FolderSource


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
