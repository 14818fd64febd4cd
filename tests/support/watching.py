"""The slots of a loop in a test, filled from a folder as registry by the real watch."""

from __future__ import annotations

from pathlib import Path

from lakeloop.serving.cache import ModelCache
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.slots import Challenger, Refusal, ServedModel, Slots
from lakeloop.serving.watch import LoopWatch
from tests.support.serving import FolderSource


class Champion:
    """The slots of the loop `news`, and the watch that fills them."""

    def __init__(self, source: FolderSource, cache: Path, metrics: ServerMetrics) -> None:
        self.slots = Slots("news")
        models = ModelCache(source, cache, threads=1)
        self.watch = LoopWatch(self.slots, source, models, metrics.of_loop("news"), poll_seconds=0.01)

    def poll(self) -> None:
        self.watch.look()

    @property
    def current(self) -> ServedModel | None:
        return self.slots.champion.model

    @property
    def refused(self) -> Refusal | None:
        return self.slots.champion.refused

    @property
    def challenger(self) -> Challenger | None:
        return self.slots.challenger.now
