"""The values of the overview: a card for each loop. A bad loop spoils only its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lakeloop.errors import LakeloopError
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import loop_names
from lakeloop.stages.frame.pending import Pending
from lakeloop.stages.frame.status import LoopStatus, PartitionStatus
from lakeloop_ui.active import Run, active_runs
from lakeloop_ui.charts import Spark, spark
from lakeloop_ui.health import Health, health_of, left
from lakeloop_ui.opened import open_to_look, recorded, status_of
from lakeloop_ui.scores import best_scores

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Loops that are looked at at the same time: most of it is waiting for the lake."""


@dataclass(frozen=True)
class Card:
    """One loop on the page."""

    name: str
    health: Health
    status: LoopStatus | None = None
    """None when nothing ran yet, or the status cannot be read."""
    runs: tuple[Run, ...] = ()
    """Of its DAGs, at work now."""
    error: str = ""
    """Why the status cannot be read, whole."""
    spark: Spark | None = None
    """The best candidate's score of each evaluation, oldest first."""
    startable: bool = False
    """The user may switch its DAGs on."""

    @property
    def left(self) -> tuple[Pending, ...]:
        """Work that no run is about to do."""
        return left(self.status, self.runs) if self.status else ()

    @property
    def newest_day(self) -> PartitionStatus | None:
        return self.status.partitions[-1] if self.status and self.status.partitions else None


def overview(
    settings: Settings, visible: Callable[[str], bool], startable: Callable[[str], bool]
) -> list[Card]:
    """A card of each loop that is `visible`, by name; those that are `startable` have a button for it."""
    names = [name for name in loop_names(settings) if visible(name)]
    runs = active_runs(names)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="overview") as pool:
        cards = list(pool.map(lambda name: _card(name, settings, runs.get(name, ())), names))
    return [replace(card, startable=not card.error and startable(card.name)) for card in cards]


def totals(cards: Sequence[Card]) -> dict[str, int]:
    """How many loops are in each state, in words, the worst first; states without loops are left out."""
    titles = [card.health.title for card in sorted(cards, key=lambda card: _WORST.index(card.health.state))]
    return {title: titles.count(title) for title in titles}


_WORST = ("failing", "attention", "never", "good")


def _card(name: str, settings: Settings, runs: tuple[Run, ...]) -> Card:
    try:
        context = open_to_look(settings, name)
        entries = recorded(context)
        status = status_of(context, entries)
        if status is None:
            return Card(name, health_of(None, runs=runs), runs=runs)
        drawn = spark(best_scores(entries or (), context.loop.metric))
    except Exception as error:
        log.warning("status of loop %s", name, exc_info=True)
        words = str(error) if isinstance(error, LakeloopError) else f"{type(error).__name__}: {error}"
        return Card(name, health_of(None, words), error=words)
    return Card(name, health_of(status, runs=runs), status, runs=runs, spark=drawn)
