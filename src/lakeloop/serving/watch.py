"""From the registry of one loop to its slots: versions take their places while requests go on.

A new version is fetched, verified, warmed and tried beside the old one (`cache`); then one pointer is
swapped. A request reads the pointer once, so it is answered by one version, and the last request that holds
an old version frees it. Looking and loading are two steps: a version that shall not answer any more is out
of its slot after the next look, whatever is loaded meanwhile. Which versions these are is decided elsewhere
(`lakeloop.stages.release`).
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from lakeloop.errors import ArtifactError
from lakeloop.records import now
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.cache import ModelCache, ReleaseSource
from lakeloop.serving.metrics import LoopMetrics
from lakeloop.serving.slots import Challenger, Named, Refusal, Release, ServedModel, Slots
from lakeloop.serving.tally import Tally

log = logging.getLogger(__name__)

_SHOWN_CHARACTERS = 500


class _Tries:
    """When something that failed is tried again."""

    def __init__(self, first: float) -> None:
        self._backoff = Backoff(first)
        self._not_before = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._not_before

    def failed(self, longest: float | None = None) -> float:
        """Count a failure; seconds until the next try."""
        wait = self._backoff.seconds if longest is None else min(longest, self._backoff.seconds)
        self._backoff.failed()
        self._not_before = time.monotonic() + wait
        return wait

    def worked(self) -> None:
        self._backoff.worked()
        self._not_before = 0.0


class LoopWatch:
    """Keeps the slots of one loop filled with what the registry names. One thread reads, one loads."""

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
        self._champion = slots.champion
        self._challenger = slots.challenger
        self._source = source
        self._cache = cache
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._reads, self._loads, self._challenger_loads = (_Tries(poll_seconds) for _ in range(3))
        self._lock = threading.Lock()
        """Of what the registry named last, and of the slots as far as they follow from it."""
        self._named = Named()
        self._before = ""
        """The champion before this one."""
        self._kept: frozenset[str] = frozenset()

    def look(self) -> None:
        """Look at the registry once, and take what it names into use."""
        self.read()
        self.load()

    def read(self) -> None:
        """Look at the registry once: who shall not answer any more is taken out, who is loaded is put in.

        Raises nothing: whatever goes wrong, the models in use stay. A lake that is away is asked ever more
        slowly; not while there is a challenger, which has to go soon after its trial was ended.
        """
        if not self._reads.due:
            return
        try:
            named = self._source.named()
        except Exception as error:
            wait = self._reads.failed(self._poll_seconds if self._challenger.now else None)
            self._postpone(error)
            self._champion.looked = True
            log.warning(
                "%s: the champion cannot be read, next try in %.0f s: %s",
                self._loop, wait, error, exc_info=error,
            )  # fmt: skip
            return
        self._reads.worked()
        with self._lock:
            self._named = named
            self._settle_champion(named)
            self._settle_challenger(named)

    def load(self) -> None:
        """Load what the registry named at the last look and no slot has, the champion first.

        Raises nothing. A bad artifact is refused until the registry names another; anything else (lake away,
        disk full) is tried again, ever more slowly.
        """
        self._load_champion()
        self._load_challenger()
        self._tidy()

    def _settle_champion(self, named: Named) -> None:
        slot, release = self._champion, named.champion
        challenger = self._challenger.now
        if release and slot.model and release.same(slot.model.release):
            # Also when the registry went back from a refused version, which is not wanted any more.
            slot.refused = None
        elif release and challenger and challenger.model and release.same(challenger.release):
            self._use(challenger.model)
        elif release and self._is_wanted(release):
            return
        slot.postponed = ""
        slot.looked = True

    def _is_wanted(self, release: Release) -> bool:
        """It is to be loaded as champion: the slot neither has it nor refused it."""
        model, refused = self._champion.model, self._champion.refused
        return not (model and release.same(model.release)) and not (refused and release.same(refused.release))

    def _settle_challenger(self, named: Named) -> None:
        slot, held, trial = self._challenger, self._challenger.now, named.trial
        release = named.challenger
        if release is None or trial is None or (named.champion and release.same(named.champion)):
            if held:
                slot.now = None
                self._metrics.use_challenger(None)
                log.info("%s: the trial of %s has ended", self._loop, held.release.version)
            return
        if held and release.same(held.release):
            if held.trial.sequence == trial.sequence:
                return
            slot.now = replace(held, trial=trial, tally=Tally())
        else:
            slot.now = Challenger(release, trial, Tally())
            self._challenger_loads.worked()
        self._metrics.use_challenger((release.version, release.digest, trial.phase))
        log.info(
            "%s: %s is tried beside the champion: %s, %g of the requests",
            self._loop, release.version, trial.phase, trial.share,
        )  # fmt: skip

    def _load_champion(self) -> None:
        release = self._named.champion
        if release is None or not self._is_wanted(release) or not self._loads.due:
            return
        try:
            model = self._cache.load(release)
        except ArtifactError as error:
            self._refuse(release, error)
            self._loads.worked()
        except Exception as error:
            wait = self._loads.failed()
            self._postpone(error)
            log.warning(
                "%s: %s cannot be loaded, next try in %.0f s: %s",
                self._loop, release.version, wait, error, exc_info=error,
            )  # fmt: skip
        else:
            self._loads.worked()
            self._place(model)
        self._champion.looked = True

    def _load_challenger(self) -> None:
        held = self._challenger.now
        if held is None or held.model or held.refused or not self._challenger_loads.due:
            return
        try:
            model = self._cache.load(held.release)
        except ArtifactError as error:
            self._metrics.refused.inc()
            self._mark(held, Refusal(held.release, str(error), now()))
            log.error("%s: %s is refused, and not tried: %s", self._loop, held.release.version, error)  # noqa: TRY400
        except Exception as error:
            wait = self._challenger_loads.failed()
            self._metrics.postponed.inc()
            self._mark(held, _shown(error))
            log.warning(
                "%s: %s cannot be loaded to be tried, next try in %.0f s: %s",
                self._loop, held.release.version, wait, error, exc_info=error,
            )  # fmt: skip
        else:
            self._challenger_loads.worked()
            self._place(model)

    def _place(self, model: ServedModel) -> None:
        """Put a model where the registry names it now; it may name it nowhere any more."""
        with self._lock:
            champion, challenger = self._named.champion, self._challenger.now
            if champion and champion.same(model.release):
                self._use(model)
            elif challenger and challenger.release.same(model.release):
                self._challenger.now = replace(challenger, model=model, refused=None, postponed="")
                log.info("%s: %s can be asked now, beside the champion", self._loop, model.release.version)

    def _mark(self, held: Challenger, why: Refusal | str) -> None:
        with self._lock:
            challenger = self._challenger.now
            if challenger and challenger.release.same(held.release):
                refused = why if isinstance(why, Refusal) else None
                postponed = why if isinstance(why, str) else ""
                self._challenger.now = replace(challenger, refused=refused, postponed=postponed)

    def _use(self, model: ServedModel) -> None:
        """Make it the champion; the lock is held."""
        slot = self._champion
        before, slot.model = slot.model, model
        slot.refused = None
        slot.postponed = ""
        self._before = before.release.version if before else ""
        version, digest, device = model.release.version, model.release.digest, model.predictor.device
        self._metrics.use_model(version, digest, device)
        log.info("%s: %s (digest %s) answers now, on %s", self._loop, version, digest[:12], device)

    def _refuse(self, release: Release, error: ArtifactError) -> None:
        with self._lock:
            self._champion.refused = Refusal(release, str(error), now())
            self._champion.postponed = ""
        self._metrics.refused.inc()
        kept = self._champion.model.release.version if self._champion.model else "no version"
        log.error("%s: %s is refused, %s stays in use: %s", self._loop, release.version, kept, error)

    def _postpone(self, error: Exception) -> None:
        self._champion.postponed = _shown(error)
        self._metrics.postponed.inc()

    def _tidy(self) -> None:
        """Delete copies of versions that are not needed. The one before stays: a rollback needs no fetch."""
        with self._lock:
            champion, named = self._champion.model, self._named
        if champion is None:
            return
        releases = (champion.release, named.champion, named.challenger)
        kept = frozenset(filter(None, (self._before, *(each.version for each in releases if each))))
        if kept == self._kept:
            return
        try:
            self._cache.forget_all_but(kept)
        except OSError:
            log.exception("%s: old copies of versions cannot be deleted", self._loop)
        else:
            self._kept = kept


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]
