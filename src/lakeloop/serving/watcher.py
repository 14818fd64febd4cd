"""From the registries to the slots: a new champion takes its place while requests go on.

A new version is fetched, verified, warmed and tried beside the old one (`cache`); then one pointer is
swapped. A request reads the pointer once, so it is answered by one version, and the last request that holds
an old version frees it. Which version is champion is decided elsewhere (`lakeloop.stages.release.release`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from lakeloop.errors import ArtifactError
from lakeloop.records import now
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.cache import ModelCache, ReleaseSource
from lakeloop.serving.metrics import LoopMetrics
from lakeloop.serving.slots import Refusal, Release, ServedModel, Slots

log = logging.getLogger(__name__)

_SHOWN_CHARACTERS = 500


class ChampionWatch:
    """Keeps the champion's slot of one loop filled with what the registry names."""

    def __init__(
        self,
        slots: Slots,
        source: ReleaseSource,
        cache: ModelCache,
        metrics: LoopMetrics,
        *,
        poll_seconds: float,
    ) -> None:
        self._loop = slots.loop
        self._slot = slots.champion
        self._source = source
        self._cache = cache
        self._metrics = metrics
        self._backoff = Backoff(poll_seconds)
        self._not_before = 0.0

    def look(self) -> None:
        """Look at the registry once, and take a new champion into use.

        Raises nothing: whatever goes wrong, the model in use stays. A bad artifact is refused until the
        registry names another; anything else (lake away, disk full) is tried again, ever more slowly.
        """
        if time.monotonic() < self._not_before:
            return
        try:
            release = self._source.champion()
            if release and not self._is_known(release):
                self._take(release)
        except Exception as error:
            wait = self._postpone(error)
            log.warning(
                "%s: the champion cannot be read, next try in %.0f s: %s",
                self._loop, wait, error, exc_info=error,
            )  # fmt: skip
        else:
            self._backoff.worked()
            self._slot.postponed = ""
        self._slot.looked = True

    def _take(self, release: Release) -> None:
        try:
            model = self._cache.load(release)
        except ArtifactError as error:
            self._refuse(release, error)
        else:
            self._use(model)

    def _is_known(self, release: Release) -> bool:
        model, refused = self._slot.model, self._slot.refused
        if model and _same(release, model.release):
            # Also when the registry went back from a refused version, which is not wanted any more.
            self._slot.refused = None
            return True
        return refused is not None and _same(release, refused.release)

    def _use(self, model: ServedModel) -> None:
        before, self._slot.model = self._slot.model, model
        self._slot.refused = None
        self._metrics.use_model(model.release.version, model.release.digest)
        log.info(
            "%s: %s (digest %s) answers now", self._loop, model.release.version, model.release.digest[:12]
        )
        # The version before stays on disk: a rollback needs no fetch.
        self._cache.forget_all_but({held.release.version for held in (before, model) if held})

    def _refuse(self, release: Release, error: ArtifactError) -> None:
        self._slot.refused = Refusal(release, str(error), now())
        self._metrics.refused.inc()
        kept = self._slot.model.release.version if self._slot.model else "no version"
        log.error("%s: %s is refused, %s stays in use: %s", self._loop, release.version, kept, error)

    def _postpone(self, error: Exception) -> float:
        """Seconds until the next try."""
        self._slot.postponed = f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]
        wait = self._backoff.seconds
        self._backoff.failed()
        self._not_before = time.monotonic() + wait
        self._metrics.postponed.inc()
        return wait


def _same(one: Release, other: Release) -> bool:
    return (one.version, one.digest) == (other.version, other.digest)


class Watcher:
    """One thread that looks after the slots of all loops, one after the other."""

    def __init__(
        self,
        watches: Sequence[ChampionWatch],
        *,
        poll_seconds: float,
        more: Callable[[], Sequence[ChampionWatch]] | None = None,
    ) -> None:
        """`more` is asked in each round for the watches of loops that have come; it raises nothing."""
        self._watches = list(watches)
        self._more = more
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the watching; the models stay in use until the process ends."""
        self._stopping.set()
        self._thread.join(timeout=self._poll_seconds)

    def _run(self) -> None:
        while True:
            for watch in self._watches:
                watch.look()
                if self._stopping.is_set():
                    return
            if self._stopping.wait(self._poll_seconds):
                return
            if self._more:
                self._watches += self._more()
