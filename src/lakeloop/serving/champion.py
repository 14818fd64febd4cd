"""The model in use, and the watcher that puts the registry's champion in its place while requests go on.

A new version is fetched, verified, warmed and tried beside the old one; then one pointer is swapped. A
request reads the pointer once, so it is answered by one version, and the last request that holds an old
version frees it. Which version is champion is decided elsewhere (`lakeloop.stages.release`).
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from lakeloop.errors import ArtifactError
from lakeloop.records import now
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.predictor import Predictor

log = logging.getLogger(__name__)

_SHOWN_CHARACTERS = 500
_SELF_CHECK = "A short text that every model must be able to answer."
_SELF_CHECK_TOKENS = 10
"""The least that a tokenizer makes of it."""


@dataclass(frozen=True)
class Release:
    """What the registry says about the champion."""

    version: str
    """Its name in the registry, as in `v3`."""
    digest: str
    """Of the artifact that was registered (`Artifact.digest`)."""
    scores: Mapping[str, float]
    """Of the evaluation that let it through the gate."""


class ReleaseSource(Protocol):
    """Where champions come from: the registry and the lake."""

    def champion(self) -> Release | None:
        """The current champion; None before the first release."""

    def fetch(self, release: Release, folder: Path) -> None:
        """Copy the artifact of `release` into `folder`, which does not exist."""


@dataclass(frozen=True)
class ServedModel:
    """A version that answers."""

    release: Release
    predictor: Predictor
    loaded_at: datetime


@dataclass(frozen=True)
class Refusal:
    """A champion that was not taken into use."""

    version: str
    digest: str
    reason: str
    at: datetime


class Champion:
    """Holds the model in use. `current` may be read from any thread; `poll` belongs to one."""

    def __init__(
        self, source: ReleaseSource, cache: Path, metrics: ServerMetrics, *, threads: int, poll_seconds: float
    ) -> None:
        self.current: ServedModel | None = None
        self.refused: Refusal | None = None
        self.postponed = ""
        """Why the last look at the registry, or at a new version in it, failed; empty when it did not."""
        self._source = source
        self._cache = cache
        self._metrics = metrics
        self._threads = threads
        self._poll_seconds = poll_seconds
        self._backoff = Backoff(poll_seconds)
        self._not_before = 0.0
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="champion", daemon=True)

    def start(self) -> None:
        self._watcher.start()

    def stop(self) -> None:
        """End the watcher; the model stays in use until the process ends."""
        self._stopping.set()
        self._watcher.join(timeout=self._poll_seconds)

    def poll(self) -> None:
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
            log.warning("the champion cannot be read, next try in %.0f s: %s", wait, error, exc_info=error)
        else:
            self._backoff.worked()
            self.postponed = ""

    def _take(self, release: Release) -> None:
        try:
            model = self._load(release)
        except ArtifactError as error:
            self._refuse(release, error)
        else:
            self._use(model)

    def _is_known(self, release: Release) -> bool:
        wanted = (release.version, release.digest)
        if self.current and wanted == (self.current.release.version, self.current.release.digest):
            # Also when the registry went back from a refused one: that one is not wanted any more.
            self.refused = None
            return True
        return self.refused is not None and wanted == (self.refused.version, self.refused.digest)

    def _load(self, release: Release) -> ServedModel:
        """Fetch, verify, warm and try a version.

        Raises:
            ArtifactError: it is not whole, not the registered one, or does not answer.
        """
        folder = self._cache / release.version
        cached = folder.exists()
        if not cached:
            self._source.fetch(release, folder)
        try:
            predictor = self._verified(release, folder)
        except ArtifactError:
            if not cached:
                raise
            log.warning("%s: the local copy is damaged; it is fetched again", folder)
            shutil.rmtree(folder)
            self._source.fetch(release, folder)
            predictor = self._verified(release, folder)
        predictor.predict(_warm_up(predictor.description.max_tokens))
        return ServedModel(release, predictor, now())

    def _verified(self, release: Release, folder: Path) -> Predictor:
        predictor = Predictor(folder, self._threads)
        if predictor.digest != release.digest:
            raise ArtifactError(
                "this is not the artifact that was registered",
                where=str(folder),
                expected=f"digest {release.digest}",
                found=f"digest {predictor.digest}",
                remedy="do not serve it; release the model again",
            )
        return predictor

    def _use(self, model: ServedModel) -> None:
        before, self.current = self.current, model
        self.refused = None
        self._metrics.use_model(model.release.version, model.release.digest)
        log.info("%s (digest %s) answers now", model.release.version, model.release.digest[:12])
        self._forget_all_but({held.release.version for held in (before, model) if held})

    def _refuse(self, release: Release, error: ArtifactError) -> None:
        self.refused = Refusal(release.version, release.digest, str(error), now())
        self._metrics.load_failures.labels("refused").inc()
        kept = self.current.release.version if self.current else "no version"
        log.error("%s is refused, %s stays in use: %s", release.version, kept, error)

    def _postpone(self, error: Exception) -> float:
        """Seconds until the next try."""
        self.postponed = f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]
        wait = self._backoff.seconds
        self._backoff.failed()
        self._not_before = time.monotonic() + wait
        self._metrics.load_failures.labels("postponed").inc()
        return wait

    def _forget_all_but(self, names: set[str]) -> None:
        # The version before stays on disk: a rollback needs no fetch.
        for folder in self._cache.iterdir():
            if folder.is_dir() and folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def _watch(self) -> None:
        while True:
            self.poll()
            if self._stopping.wait(self._poll_seconds):
                return


def _warm_up(max_tokens: int) -> list[str]:
    """A short text and one of the most tokens: two shapes of batch, the widest among them.

    So the first requests meet warm memory, and none finds out that the model cannot read that far.
    """
    return [_SELF_CHECK, " ".join([_SELF_CHECK] * (max_tokens // _SELF_CHECK_TOKENS + 1))]
