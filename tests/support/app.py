"""The model server's app in a test: real parts and models, a folder as registry, a list as lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from starlette.testclient import TestClient

from lakeloop.serving.app import Service, create_app
from lakeloop.serving.cache import ModelCache
from lakeloop.serving.exchange import ServedLoop
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.keys import Keys
from lakeloop.serving.log.observations import ObservationLog
from lakeloop.serving.log.predictions import PredictionLog
from lakeloop.serving.log.spool import Spool
from lakeloop.serving.log.table import Publish
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.slots import Slot, Slots
from lakeloop.serving.watch import LoopWatch
from lakeloop.serving.watcher import Watcher
from tests.support.serving import FolderSource
from tests.support.waiting import until

LIMITS = Limits(
    texts=4,
    characters=100,
    body_bytes=2000,
    poll_seconds=0.02,
    flush_seconds=0.05,
    answer_seconds=5,
    waiting=2,
)


class Server:
    """A client, and what the server behind it is made of; with `numbers` it has a second loop, `stars`."""

    def __init__(
        self,
        tmp_path: Path,
        source: FolderSource,
        limits: Limits = LIMITS,
        numbers: FolderSource | None = None,
        task: str = "classification",
        keys: Keys | None = None,
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        """Of the table `predictions`."""
        self.observed: list[dict[str, Any]] = []
        """Of the table `observations`."""
        self.metrics = ServerMetrics()
        self._limits = limits
        parts = [self._open("news", task, source, tmp_path)]
        if numbers:
            parts.append(self._open("stars", "regression", numbers, tmp_path / "stars"))
        watcher = Watcher([watch for _, watch in parts], poll_seconds=limits.poll_seconds)
        self.loops = {served.name: served for served, _ in parts}
        self.app = create_app(Service(self.loops, watcher, limits, self.metrics), keys=keys)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    @property
    def slot(self) -> Slot:
        return self.loops["news"].slots.champion

    def _open(self, name: str, task: str, source: FolderSource, home: Path) -> tuple[ServedLoop, LoopWatch]:
        limits, metrics, seconds = self._limits, self.metrics.of_loop(name), self._limits.flush_seconds

        def parts(folder: str, rows: list[dict[str, Any]]) -> tuple[Spool, Publish]:
            def publish(table: pa.Table, _: str) -> None:
                rows.extend({**row, "loop": name} for row in table.to_pylist())

            spool = Spool(home / folder, batch_rows=limits.batch_rows, backlog_bytes=limits.backlog_bytes)
            return spool, publish

        predictions = PredictionLog(*parts("spool", self.rows), metrics, flush_seconds=seconds)
        observations = ObservationLog(*parts("observed", self.observed), metrics, flush_seconds=seconds)
        served = ServedLoop(name, task, Slots(name), predictions, observations, metrics)
        cache = ModelCache(source, home / "cache", threads=1)
        watch = LoopWatch(served.slots, source, cache, metrics, poll_seconds=limits.poll_seconds)
        return served, watch

    def await_version(self, version: str, loop: str = "news") -> None:
        path = f"/v1/loops/{loop}/model"
        until(lambda: self.client.get(path).json().get("version") == version, f"{version} of {loop}")
