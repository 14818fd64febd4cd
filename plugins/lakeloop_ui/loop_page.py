"""The values of the page of one loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lakeloop_airflow.links import DATA_DOCS, DBT_DOCS, REPORT, page, published

from lakeloop.records import StageRecord
from lakeloop.registry.history import History
from lakeloop.registry.listing import Listing, list_versions
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.frame.pending import Pending
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import LoopStatus
from lakeloop.transform.page import PAGE
from lakeloop_ui.active import Run, active_runs
from lakeloop_ui.charts import Chart
from lakeloop_ui.days import Calendar, OneDay, calendar_of, one_day
from lakeloop_ui.disk import Disk, disk_of
from lakeloop_ui.health import Health, health_of, left
from lakeloop_ui.opened import open_to_look, recorded, status_of
from lakeloop_ui.release import Release, release_of
from lakeloop_ui.scores import SHOWN, Decided, Evaluated, chart_of, decisions, evaluations
from lakeloop_ui.trainings import Training, trainings_of


@dataclass(frozen=True)
class Link:
    title: str
    url: str
    leave: str = ""
    """`_blank` for a page that is not ours: it opens outside of Airflow's frame."""


@dataclass(frozen=True)
class LoopPage:
    """One loop."""

    name: str
    description: str
    health: Health
    status: LoopStatus | None = None
    """None when nothing ran yet."""
    runs: tuple[Run, ...] = ()
    """Of its DAGs, at work now."""
    left: tuple[Pending, ...] = ()
    """Work that none of them is about to do."""
    calendar: Calendar | None = None
    day: OneDay | None = None
    """The day that was asked for."""
    versions: Listing | None = None
    gone: Mapping[str, str] | None = None
    """Version whose weights are gone -> why."""
    release: Release | None = None
    evaluated: tuple[Evaluated, ...] = ()
    """The newest first."""
    chart: Chart | None = None
    decisions: tuple[Decided, ...] = ()
    trainings: tuple[Training, ...] = ()
    disk: Disk | None = None
    """As maintenance left it last."""
    reports: Mapping[str, str] | None = None
    """Experiment -> address of its report."""
    links: tuple[Link, ...] = ()


def loop_page(settings: Settings, loop: str, *, day: str = "", month: str = "") -> LoopPage:
    """The values for the page of `loop`, with what is known of `day`, and the months up to `month`.

    Raises:
        LakeloopError: the loop file or the lake cannot be read.
    """
    context = open_to_look(settings, loop)
    description = context.loop.description
    entries = recorded(context)
    status = status_of(context, entries)
    runs = active_runs([loop]).get(loop, ())
    if entries is None or status is None:
        return LoopPage(loop, description, health_of(None, runs=runs), runs=runs)
    history = Registry(context.lake, context.attempt).read()
    page = _filled(context, status, entries, history, day, month)
    return replace(page, health=health_of(status, runs=runs), runs=runs, left=left(status, runs))


def _filled(
    context: StageContext,
    status: LoopStatus,
    entries: Sequence[StageRecord],
    history: History,
    day: str,
    month: str,
) -> LoopPage:
    loop, settings, metric = context.loop, context.settings, context.loop.metric
    evaluated = evaluations(entries, metric, settings, loop.name)
    return LoopPage(
        name=loop.name,
        description=loop.description,
        health=health_of(status),
        status=status,
        calendar=calendar_of(status, month or day[:7]),
        day=one_day(status, entries, settings, day) if day else None,
        versions=list_versions(loop.name, history, metric, entries),
        gone=history.forgotten,
        release=release_of(context, history, status.champion, status.trial),
        evaluated=tuple(evaluated[::-1][:SHOWN]),
        chart=chart_of(evaluated, f"{metric.title} on test rows, by evaluation"),
        decisions=tuple(decisions(entries, context.lake.files)),
        trainings=tuple(trainings_of(settings.journals, loop.name, entries, metric.name)),
        disk=disk_of(entries),
        reports={each.name: published(each.report, settings, loop.name) for each in status.experiments},
        links=tuple(_links(status, settings)),
    )


def newest_link(settings: Settings, loop: str, kind: str) -> str:
    """Address of the newest report or Data Docs of a loop; empty where there are none."""
    context = open_to_look(settings, loop)
    status = status_of(context, recorded(context))
    return published(status.links.get(kind, ""), settings, loop) if status else ""


def _links(status: LoopStatus, settings: Settings) -> Iterator[Link]:
    for key, title in (("report", REPORT), ("data_docs", DATA_DOCS)):
        if url := published(status.links.get(key, ""), settings, status.loop):
            yield Link(title, url)
    models = settings.dbt_docs(status.loop) / PAGE
    if models.is_file():
        yield Link(DBT_DOCS, published(str(models), settings, status.loop))
    yield Link("Quarantine", page("quarantine", status.loop))
    yield Link("Next training", page("why", status.loop))
    if model := status.links.get("server"):
        yield Link("Model server", model, leave="_blank")
    if (wandb := status.links.get("wandb", "")).startswith(("http://", "https://")):
        yield Link("W&B", wandb, leave="_blank")
