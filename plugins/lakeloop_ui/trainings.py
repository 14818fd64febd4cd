"""The values of trainings: which there were, by the journals of this machine, and the curves of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakeloop_airflow.links import curves_page, page

from lakeloop.records import StageRecord
from lakeloop.tracking.journal import JOB, SUFFIX, TRIAL, Entry, has_writer, read_journal
from lakeloop_ui.charts import Chart, Series, draw

SHOWN = 20
"""Trainings in the list, the newest."""

_LOSSES = "Loss"
_RATE = "Learning rate"
_GRADIENT = "Norm of the gradients"
_SPEED = "Texts a second"
_PANELS: Mapping[str, str] = {
    "train/loss": _LOSSES,
    "train/epoch_loss": _LOSSES,
    "validation/loss": _LOSSES,
    "train/learning_rate": _RATE,
    "train/gradient_norm": _GRADIENT,
    "train/texts_per_second": _SPEED,
}
"""Name of a number -> the chart that it is in; the scores on validation rows each have their own."""
_ORDER = (_RATE, _GRADIENT, _SPEED)
_LINES: Mapping[str, str] = {
    "train/loss": "training, by step",
    "train/epoch_loss": "training, by epoch",
    "validation/loss": "validation",
}
"""Names of lines that are in one chart with others."""
_NO_CURVES = frozenset({"epoch", "train/seconds"})


@dataclass(frozen=True)
class Training:
    """One try of a training job, or a trial of a search."""

    name: str
    """`train-finetune`, or `train-finetune@fast` in an experiment."""
    kind: str
    """Empty for a training, `trial` for one of a search."""
    day: str
    at: datetime
    """Of its last sign of life."""
    running: bool
    url: str
    """Of its curves."""
    score: float | None = None
    """By the loop's metric on validation rows; None where no record says it."""
    seconds: float | None = None


@dataclass
class Curves:
    """Values of the page of one training."""

    journal: Path
    running: bool
    charts: list[Chart] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    """What was said at the end of each."""
    columns: dict[str, str] = field(default_factory=dict)
    """Names in `epochs`, in order -> what they are called."""
    last: dict[str, float] = field(default_factory=dict)
    """The last value of each number."""
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Setting -> value, and where it is from."""
    summary: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    """What ended it; empty where nothing did."""
    ended: bool = False
    at: datetime | None = None
    wandb: str = ""
    """Address of its W&B run."""


def trainings_of(journals: Path, loop: str, entries: Sequence[StageRecord], metric: str) -> list[Training]:
    """The newest trainings of a loop, the newest first, with what the ledger (`entries`) says of them.

    No journal is read.
    """
    found = []
    for end in (JOB, TRIAL):
        for path in (journals / loop).glob(f"train-*{end}*/*/*{SUFFIX}"):
            try:
                found.append((path.stat().st_mtime, path, end))
            except OSError:  # gone meanwhile
                continue
    newest = sorted(found, reverse=True)[:SHOWN]
    records = {
        entry.links["training_run"]: entry
        for entry in entries
        if "training_run" in entry.links and "seconds" in entry.metrics
    }
    return [_training(loop, *one, records.get(str(one[1])), metric) for one in newest]


def _training(
    loop: str, modified: float, path: Path, end: str, record: StageRecord | None, metric: str
) -> Training:
    stage, day = path.parts[-3], path.parts[-2]
    said = record.metrics if record else {}
    return Training(
        name=stage.replace(end, ""),
        kind="trial" if end == TRIAL else "",
        day=day,
        at=datetime.fromtimestamp(modified, UTC),
        running=has_writer(path),
        url=curves_page(loop, path),
        score=said.get(f"validation/{metric}"),
        seconds=said.get("seconds"),
    )


def curves_of(journal: Path, loop: str, titles: Mapping[str, str]) -> Curves:
    """The values for the training that `journal` tells of; `titles` are what scores are called.

    Raises:
        DataError: the file is no journal.
    """
    entries = read_journal(journal)
    found = Curves(journal, has_writer(journal))
    found.wandb = page("wandb", loop, *journal.parts[-3:-1], journal.stem)
    found.charts = list(_charts(entries, titles))
    for entry in entries:
        found.at = datetime.fromtimestamp(entry.time, UTC)
        match entry.kind:
            case "config":
                found.settings |= _settings(entry.data.get("settings"))
            case "log":
                found.last |= entry.data["metrics"]
                if "epoch" in entry.data["metrics"]:
                    found.epochs.append(entry.data["metrics"])
            case "summary":
                found.summary |= {
                    name: value for name, value in entry.data.items() if isinstance(value, str | int | float)
                }
            case "close":
                found.ended, found.error = True, str(entry.data.get("error", ""))
            case "open":  # a later try goes on with it
                found.ended, found.error = False, ""
    said = dict.fromkeys(name for one in found.epochs for name in one if name != "epoch")
    found.columns = {name: _named(name, titles) for name in said}
    return found


def _settings(said: Any) -> dict[str, tuple[str, str]]:
    if not isinstance(said, dict):
        return {}
    return {
        name: (str(one.get("value")), str(one.get("origin", "")))
        for name, one in said.items()
        if isinstance(one, dict)
    }


def _charts(entries: list[Entry], titles: Mapping[str, str]) -> Iterator[Chart]:
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for entry in entries:
        if entry.kind != "log" or entry.data.get("step") is None:
            continue
        step = float(entry.data["step"])
        for name, value in entry.data["metrics"].items():
            if name not in _NO_CURVES:
                lines.setdefault(_panel(name, titles), {}).setdefault(name, []).append((step, float(value)))
    for title in sorted(lines, key=_place):
        drawn = [Series(_LINES.get(name, title), tuple(points)) for name, points in lines[title].items()]
        if any(len(one.points) > 1 for one in drawn) and (chart := draw(title, drawn)):
            yield chart


def _panel(name: str, titles: Mapping[str, str]) -> str:
    return _PANELS.get(name) or _named(name, titles)


def _named(name: str, titles: Mapping[str, str]) -> str:
    """What a number of a journal is called, for people."""
    if name in _LINES:
        return f"loss, {_LINES[name]}"
    part, _, rest = name.rpartition("/")
    words = titles.get(rest) or rest.replace("_", " ")
    return f"{part}: {words}" if part else words


def _place(title: str) -> tuple[int, str]:
    """The losses, then the scores on validation rows, then the rest."""
    if title == _LOSSES:
        return 0, title
    if title.startswith("validation"):
        return 1, title
    return (2 + _ORDER.index(title) if title in _ORDER else 9), title
