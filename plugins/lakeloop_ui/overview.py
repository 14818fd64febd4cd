"""The values of the overview: each loop's status and where its parts open. A bad loop spoils only itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lakeloop_airflow.links import DATA_DOCS, REPORT, airflow_page, page, published

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named, loop_names
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import LoopStatus, PartitionStatus, loop_status

log = logging.getLogger(__name__)

SHOWN_PARTITIONS = 14


@dataclass(frozen=True)
class Link:
    title: str
    url: str
    leave: str = ""
    """`_blank` for a page that is not ours: it opens outside of Airflow's frame."""


@dataclass(frozen=True)
class LoopView:
    """One loop on the page."""

    name: str
    status: LoopStatus | None = None
    """None when nothing ran yet, or the status cannot be read."""
    error: str = ""
    reports: Mapping[str, str] = field(default_factory=dict)
    """Experiment -> address of its report."""
    links: tuple[Link, ...] = ()
    startable: bool = False
    """The user may switch its DAGs on."""

    @property
    def newest_partitions(self) -> tuple[PartitionStatus, ...]:
        """Newest first."""
        return self.status.partitions[::-1][:SHOWN_PARTITIONS] if self.status else ()

    def dag_page(self, stage: str) -> str:
        """The page of the DAG that runs `stage`; empty when no DAG runs it any more."""
        try:
            dag = stage_named(stage).dag
        except KeyError:
            return ""
        return airflow_page("dags", f"{self.name}.{dag}")


def overview(
    settings: Settings, visible: Callable[[str], bool], startable: Callable[[str], bool]
) -> list[LoopView]:
    """A view of each loop that is `visible`, by name; those that are `startable` have a button for it."""
    return [
        replace(_view(name, settings), startable=startable(name))
        for name in loop_names(settings)
        if visible(name)
    ]


def _view(name: str, settings: Settings) -> LoopView:
    try:
        status = status_of(name, settings)
    except Exception as error:
        log.warning("status of loop %s", name, exc_info=True)
        words = str(error) if isinstance(error, LakeloopError) else f"{type(error).__name__}: {error}"
        return LoopView(name, error=words)
    if status is None:
        return LoopView(name)
    reports = {each.name: published(each.report, settings, name) for each in status.experiments}
    return LoopView(name, status, reports=reports, links=tuple(_links(status, settings)))


def status_of(name: str, settings: Settings) -> LoopStatus | None:
    """The status of the loop called `name`; None when nothing ran yet.

    Raises:
        LakeloopError: the loop file or the status cannot be read.
    """
    loop = load_named(name, settings)
    lake = Lake.from_settings(settings, loop)
    try:
        lake.version("ledger")
    except ConfigurationError:
        return None  # No tables yet: looking at a page must not create them.
    status = loop_status(StageContext(loop, lake, settings, Attempt.local()))
    return status if status.stages or status.failed or status.running else None


def _links(status: LoopStatus, settings: Settings) -> Iterator[Link]:
    for key, title in (("report", REPORT), ("data_docs", DATA_DOCS)):
        if url := published(status.links.get(key, ""), settings, status.loop):
            yield Link(title, url)
    yield Link("Quarantine", page("quarantine", status.loop))
    yield Link("Next training", page("why", status.loop))
    if model := status.links.get("server"):
        yield Link("Model server", model, leave="_blank")
    if (wandb := status.links.get("wandb", "")).startswith(("http://", "https://")):
        yield Link("W&B", wandb, leave="_blank")
