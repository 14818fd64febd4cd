"""One loop made ready to be served from its lake: when the server starts, or when its file comes later."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from deltalake.exceptions import DeltaError

from lakeloop.errors import LakeloopError, ServiceError
from lakeloop.lake.store import Lake
from lakeloop.registry.history import ModelVersion
from lakeloop.registry.registry import Registry
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.cache import ModelCache
from lakeloop.serving.exchange import ServedLoop
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.log.observations import ObservationLog
from lakeloop.serving.log.predictions import PredictionLog
from lakeloop.serving.log.spool import Spool
from lakeloop.serving.log.table import Publish
from lakeloop.serving.metrics import LoopMetrics, ServerMetrics
from lakeloop.serving.slots import Named, Release, Slots
from lakeloop.serving.watch import LoopWatch
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_named, loop_names
from lakeloop.spec.release import Abstain

log = logging.getLogger(__name__)


class RegistrySource:
    """Versions from the registry of a lake."""

    def __init__(self, lake: Lake, abstain: Abstain) -> None:
        self._lake = lake
        self._registry = Registry(lake)
        self._abstain = abstain
        self._told: set[str] = set()
        """Versions that hold nothing back although it is asked for, of which the log has said so."""

    def named(self) -> Named:
        history = self._registry.read()
        champion, trial = history.alias("champion"), history.trial
        tried = history.versions[trial.version] if trial else None
        return Named(self._release(champion), self._release(tried), trial)

    def _release(self, version: ModelVersion | None) -> Release | None:
        if version is None:
            return None
        below = self._abstain.threshold(version.card.thresholds)
        if self._abstain.asked and not below and version.name not in self._told:
            self._told.add(version.name)
            log.warning(
                "%s: %s holds nothing back: %s (deploy.abstain)",
                self._lake.loop, version.name, self._abstain.why_none(version.card.thresholds),
            )  # fmt: skip
        return Release(version.name, version.digest, version.card.metrics, below)

    def fetch(self, release: Release, folder: Path) -> None:
        self._lake.files.fetch(f"models/{release.version}", folder)


def open_loop(
    loop: LoopSpec, settings: Settings, limits: Limits, metrics: LoopMetrics
) -> tuple[ServedLoop, LoopWatch]:
    """As `_open_loop`; what a damaged table or an unreadable folder raises is an error of ours."""
    try:
        return _open_loop(loop, settings, limits, metrics)
    except (DeltaError, OSError) as error:
        raise ServiceError(
            f"loop {loop.name} cannot be served",
            where=f"{settings.lake}/{loop.name}",
            expected="a lake that can be read and written",
            found=f"{type(error).__name__}: {error}",
            remedy="give this user the rights it lacks, or bring the damaged table back",
        ) from error


def _open_loop(
    loop: LoopSpec, settings: Settings, limits: Limits, metrics: LoopMetrics
) -> tuple[ServedLoop, LoopWatch]:
    lake = Lake.from_settings(settings, loop)
    lake.bootstrap(loop)

    home = settings.home / "serving" / loop.name

    def spool(folder: str) -> Spool:
        return Spool(home / folder, batch_rows=limits.batch_rows, backlog_bytes=limits.backlog_bytes)

    def publish(table: str) -> Publish:
        return lambda rows, batch_id: lake.append_once(table, rows, batch_id=batch_id)

    seconds = limits.flush_seconds
    how = loop.deploy.log
    predictions = PredictionLog(
        spool("spool"), publish("predictions"), metrics, flush_seconds=seconds, keep=how
    )
    observations = ObservationLog(
        spool("observations"), publish("observations"), metrics, flush_seconds=seconds, keep=how
    )
    served = ServedLoop(
        loop.name, loop.task.kind, Slots(loop.name), predictions, observations, metrics, loop.clean.length
    )
    source = RegistrySource(lake, loop.deploy.abstain)
    cache = ModelCache(source, home / "models", limits.threads, limits.device)
    watch = LoopWatch(served.slots, source, cache, metrics, poll_seconds=limits.poll_seconds)
    return served, watch


class LaterLoops:
    """Opens the loops whose files come, or are mended, while the server runs.

    `served` has the loops by name; those that are opened are put in, and none is ever taken out.
    """

    def __init__(
        self, served: dict[str, ServedLoop], settings: Settings, limits: Limits, metrics: ServerMetrics
    ) -> None:
        self._served = served
        self._settings = settings
        self._limits = limits
        self._metrics = metrics
        self._failed: dict[str, tuple[float, Backoff]] = {}
        """Name -> not before this moment (monotonic) again, and how long to wait after the next failure."""

    def look(self) -> list[LoopWatch]:
        """Open what can be opened now; returns what keeps their slots filled. Raises nothing."""
        found = []
        for name in loop_names(self._settings):
            if name in self._served or time.monotonic() < self._failed.get(name, (0.0, None))[0]:
                continue
            try:
                loop = load_named(name, self._settings)
                served, watch = open_loop(loop, self._settings, self._limits, self._metrics.of_loop(name))
                for log_of_table in served.logs:
                    log_of_table.start()
            except LakeloopError as error:
                self._postpone(name, error)
                continue
            self._failed.pop(name, None)
            self._served[name] = served  # one assignment: requests read it meanwhile
            log.info("%s: its file is new, or can be read now: it is served from here on", name)
            found.append(watch)
        return found

    def _postpone(self, name: str, error: LakeloopError) -> None:
        _, backoff = self._failed.get(name, (0.0, Backoff(self._limits.poll_seconds)))
        if not backoff.failures:
            log.error("loop %s cannot be served, and is tried again: %s", name, error)
        self._failed[name] = (time.monotonic() + backoff.seconds, backoff)
        backoff.failed()
