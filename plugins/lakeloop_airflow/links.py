"""Buttons on the task page: where a person looks next. A button without a target is not shown.

The operator leaves the targets in `urls` before it ends; Airflow then keeps each link as an XCom of the task.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperator, BaseOperatorLink, conf
from airflow.sdk.types import TaskInstanceKey

from lakeloop.records import StageRecord
from lakeloop.settings import Settings
from lakeloop.stages import catalogue

MOUNT = "/lakeloop"
"""Where the API server serves the Lakeloop page and the files it links to (plugins/lakeloop_ui)."""

ASK = "approve"
"""The id of the task that asks a person."""

WANDB_RUN = "W&B run"
DATA_DOCS = "Data Docs"
REPORT = "Evaluation report"
MODEL_VERSION = "Model version"
CURVES = "Curves"
DBT_DOCS = "dbt docs"

_TITLES = {"data_docs": DATA_DOCS, "report": REPORT, "dbt_docs": DBT_DOCS}
"""Keys of a record's links -> what the button says."""


class _StageLink(BaseOperatorLink):
    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  (Airflow's)
        urls: Mapping[str, str] = getattr(operator, "urls", {})
        return urls.get(self.name, "")


class WandbRunLink(_StageLink):
    name = WANDB_RUN


class DataDocsLink(_StageLink):
    name = DATA_DOCS


class ReportLink(_StageLink):
    name = REPORT


class ModelVersionLink(_StageLink):
    name = MODEL_VERSION


class CurvesLink(_StageLink):
    name = CURVES


class DbtDocsLink(_StageLink):
    name = DBT_DOCS


_LINKS: dict[str, BaseOperatorLink] = {
    catalogue.DATA_DOCS: DataDocsLink(),
    catalogue.REPORT: ReportLink(),
    catalogue.VERSION: ModelVersionLink(),
    catalogue.CURVES: CurvesLink(),
    catalogue.DBT_DOCS: DbtDocsLink(),
}
"""What a stage links to, by the catalogue of stages -> its button."""


def links_of(stage: str) -> tuple[BaseOperatorLink, ...]:
    """The links that a task of `stage` can have."""
    return (WandbRunLink(), *(_LINKS[name] for name in catalogue.stage_named(stage).links))


def airflow_page(*parts: str) -> str:
    """Path of a page of Airflow, below the path that Airflow itself is served at."""
    base = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
    return "/".join((base, *(quote(part) for part in parts)))


def page(*parts: str) -> str:
    """Path of a page or file of the Lakeloop app."""
    return airflow_page(MOUNT.lstrip("/"), *parts)


def urls(record: StageRecord, settings: Settings) -> dict[str, str]:
    """The targets that `record` knows, by the name of their link.

    Files below docs/, reports/ and dbt-docs/ are pages of the Lakeloop app; a file elsewhere has no link.
    """
    found = {
        _TITLES[key]: published(target, settings, record.loop)
        for key, target in record.links.items()
        if key in _TITLES
    }
    if version := record.outputs.get("version"):
        found[MODEL_VERSION] = page("models", record.loop, version)
    return {title: url for title, url in found.items() if url}


def report_of(loop: str, partition: str, experiment: str = "") -> str:
    """Where the report of a day's evaluation is, or will be: it comes after the trainings of the day."""
    return page("view", "reports", loop, "-".join(filter(None, (partition, experiment))), "index.html")


def curves_page(loop: str, journal: Path) -> str:
    """The page with the curves of the training that `journal` tells of."""
    return page("curves", loop, *journal.parts[-3:-1], journal.stem)


def failure_links(settings: Settings, loop: str, stage: str, partition: str) -> dict[str, str]:
    """What a stage that failed left for a person to read: the report of the checks that stopped the day."""
    report = settings.docs(loop) / partition / "index.html"
    if stage != "validate" or not report.is_file():
        return {}
    return {DATA_DOCS: published(str(report), settings, loop)}


def published(target: str, settings: Settings, loop: str) -> str:
    """Where `target`, a path or URL of a record, can be opened in a browser; empty when it cannot.

    A file of ours is shown in a page that has a way back; below /docs, /reports and /dbt it is served alone.
    """
    if target.startswith(("http://", "https://")):
        return target
    path = Path(target.removeprefix("file://"))
    folders = {"docs": settings.docs(loop), "reports": settings.reports(loop), "dbt": settings.dbt_docs(loop)}
    for kind, folder in folders.items():
        if path.is_relative_to(folder):
            return page("view", kind, loop, path.relative_to(folder).as_posix())
    return ""
