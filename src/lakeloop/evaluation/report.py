"""The evaluation as one HTML file that needs no network: what a person reads before trusting a model.

Layout and words are in `templates/report.html.j2`, how a grid of each kind is drawn in
`templates/grids.html.j2`; here is what the page is given, already in the order in which it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lakeloop.datasets.freeze import DatasetCard
from lakeloop.evaluation.probes.registry import titles_of
from lakeloop.evaluation.scatter import Scatter
from lakeloop.evaluation.searches import SearchFigures
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.measures.base import MetricSpec, shown, shown_interval
from lakeloop.measures.registry import metrics_of
from lakeloop.search.found import SearchFound
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.base import Grid

NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class ScoreLine:
    """One score of all models, in their order."""

    title: str
    cells: tuple[tuple[str, bool, str], ...]
    """The score of each model, whether it is the best, and its interval; empty where it has none."""


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    evidence: Evidence
    loop: LoopSpec
    card: DatasetCard
    searches: tuple[SearchFound, ...] = ()
    """Those that candidates are from."""
    experiment: str = ""
    """The experiment that the candidates are of; empty for those of production."""

    @property
    def metric(self) -> MetricSpec:
        """The metric that candidates are ordered by."""
        return self.loop.metric

    @property
    def leader(self) -> ModelEvidence:
        """The best candidate."""
        return self.evidence.model(self.evidence.leader)

    @property
    def others(self) -> tuple[ModelEvidence, ...]:
        """All models but the leader."""
        return tuple(model for model in self.evidence.models if model is not self.leader)

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        score, champion = self.leader.scores[self.metric.name], self.evidence.champion
        sentence = (
            f"The best candidate is the {self.leader.name} ({self.leader.method}) "
            f"with {self.metric.title} {shown(score)} on {self.evidence.rows} test rows"
        )
        if champion is None:
            return f"{sentence}. There was no champion to compare with."
        lead = self.metric.advantage(score, champion.scores[self.metric.name])
        compared = f"{shown(abs(lead))} {'better' if lead >= 0 else 'worse'} than" if lead else "as good as"
        return f"{sentence}: {compared} the {champion.title}."

    @property
    def rules(self) -> str:
        """What the gate asks for, in one sentence."""
        least, slack = self.loop.least_score, self.loop.slack
        floor = "" if least is None else f"{self.metric.title} {self.metric.bound} {shown(least)}, and "
        worse = f"{100 * slack:.3g} %" if self.metric.relative else shown(slack)
        return f"The gate asks for {floor}at most {worse} worse than the champion."

    @property
    def lines(self) -> Iterator[ScoreLine]:
        """The scores side by side."""
        metrics = {metric.name: metric for metric in metrics_of(self.evidence.task)}
        titles = titles_of(self.evidence.task)
        models = self.evidence.models
        for name in dict.fromkeys((*titles, *(name for model in models for name in model.scores))):
            metric = metrics.get(name)
            decides = " (decides)" if name == self.metric.name else ""
            scores = [model.scores.get(name) for model in models]
            ends = [model.intervals.get(name) for model in models]
            why = next((model.left_out[name] for model in models if name in model.left_out), NOT_RECORDED)
            yield _line(titles.get(name, name) + decides, scores, metric, ends, why)
            if decides:
                validation = [model.validation.get(name) for model in models]
                yield _line(f"{self.metric.title} on validation rows", validation)

    @property
    def grids(self) -> Iterator[tuple[Grid, Sequence[tuple[ModelEvidence, Grid]]]]:
        """Each grid of the leader, with the grids of the same title of other models that it does not show."""
        for grid in self.leader.tables:
            same = [
                (model, other)
                for model in self.others
                for other in model.tables
                if other.title == grid.title and other.kind == grid.kind
            ]
            if grid.compared:
                yield side_by_side(grid, self.leader, same), ()
            else:
                yield grid, same

    @property
    def spread(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """How the targets are spread: a name, then its number in each split."""
        profiles = [self.card.profiles[name] for name in self.card.rows]
        for name in profiles[0].numbers:
            if "/" not in name:
                yield name, tuple(shown(profile.numbers[name]) for profile in profiles)
        for name in profiles[0].shares:
            if all(name in profile.shares for profile in profiles):
                yield name, tuple(f"{100 * profile.shares[name]:.1f} %" for profile in profiles)


def _line(
    title: str,
    values: Sequence[float | None],
    metric: MetricSpec | None = None,
    intervals: Sequence[tuple[float, float] | None] = (),
    missing: str = NOT_RECORDED,
) -> ScoreLine:
    known = [value for value in values if value is not None]
    best = (max if metric.higher_is_better else min)(known) if metric and known else None
    return ScoreLine(
        title,
        tuple(
            (
                missing if value is None else shown(value),
                value is not None and value == best,
                shown_interval(ends) if ends else "",
            )
            for value, ends in zip(values, intervals or [None] * len(values), strict=True)
        ),
    )


def side_by_side(grid: Grid, leader: ModelEvidence, others: Sequence[tuple[ModelEvidence, Grid]]) -> Grid:
    """The leader's `grid` with a further column for each other model: its value of the compared column.

    Rows are matched by their first column where that names each once, else by their place.
    """
    at = grid.columns.index(grid.compared)
    columns = [f"{grid.compared}, {leader.title}" if n == at else name for n, name in enumerate(grid.columns)]
    order = [n for n in range(len(columns)) if n != at] + [at]
    rows = [[row[n] for n in order] for row in grid.rows]
    names = [row[0] for row in grid.rows]
    for _, other in others:
        values = [row[other.columns.index(grid.compared)] for row in other.rows]
        if len(set(names)) == len(names):
            by_name = dict(zip((row[0] for row in other.rows), values, strict=True))
            values = [by_name.get(name) for name in names]
        for row, value in zip(rows, values, strict=True):
            row.append(value)
    return Grid(
        title=grid.title,
        columns=(
            *(columns[n] for n in order),
            *(f"{grid.compared}, {model.title}" for model, _ in others),
        ),
        rows=tuple(map(tuple, rows)),
        note=f"{grid.note} Where no model is named, it is the {leader.title}.".strip(),
    )


def cell(value: Any) -> str:
    """One value of a table, as text."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else shown(value)
    return str(value)


def render(report: Report) -> str:
    """The page as HTML. Texts of rows are escaped: they come from outside."""
    environment = Environment(
        loader=PackageLoader("lakeloop.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        shown=shown,
        cell=cell,
        scatter=Scatter.of,
        figures=SearchFigures,
        capitalize_first=lambda text: f"{text[:1].upper()}{text[1:]}",
    )
    return environment.get_template("report.html.j2").render(report=report)
