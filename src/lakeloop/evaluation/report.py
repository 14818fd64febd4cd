"""The evaluation as one HTML file that needs no network: what a person reads before trusting a model.

Layout and words are in `templates/report.html.j2`, how a grid of each kind is drawn in
`templates/grids.html.j2`; here is what the page is given, already in the order in which it is shown. However
many answers, models, days and trials there are, the page has at most half a megabyte: what is many is shown
the worst first, and the rest is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from jinja2 import Environment, PackageLoader, StrictUndefined

from lakeloop.datasets.freeze import DatasetCard
from lakeloop.evaluation.beside import Beside, shown_signed
from lakeloop.evaluation.grids import MOST_ROWS, TALL, Section, cell, holdings, sections_of
from lakeloop.evaluation.mistakes import excerpt
from lakeloop.evaluation.probes.registry import titles_of
from lakeloop.evaluation.scatter import Scatter
from lakeloop.evaluation.searches import SearchFigures
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.decide import Decision, asked, decide
from lakeloop.gate.rules.base import EXACTNESS, Requirement
from lakeloop.measures.base import MetricSpec, shown, shown_interval
from lakeloop.measures.registry import NEEDED, limited, metrics_of, told
from lakeloop.plural import counted
from lakeloop.search.found import SearchFound
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.registry import task_class

MOST_DAYS = 60
MOST_MISTAKES = 20
FIRST_MISTAKES = 6
"""So many are open to the eye; the others are behind a click."""
_MOST_NAMED = 20
_SHORT = 120
"""Characters of a text beside numbers."""

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
        compared = f"{shown(abs(lead))} {'better' if lead >= 0 else 'worse'} than"
        if abs(lead) <= EXACTNESS:
            compared = "as good as"
        return f"{sentence}: {compared} the {champion.title}."

    @property
    def rules(self) -> tuple[str, ...]:
        """What the gate asks of every candidate, by the loop file."""
        return asked(self.loop)

    @cached_property
    def decision(self) -> Decision:
        """What the gate says of the leader, by the loop file as it is."""
        return decide(self.evidence, self.loop)

    @property
    def checks(self) -> list[Requirement]:
        """What the gate asked and found, what fails first."""
        return sorted(self.decision.checks, key=lambda check: check.passed)

    @property
    def verdict(self) -> str:
        """The decision in one sentence."""
        checks = self.decision.checks
        failed = [check.name for check in checks if not check.passed]
        if not failed:
            return f"It passes the {len(checks)} checks of the gate."
        return f"The gate refuses it: {len(failed)} of {len(checks)} checks fail ({', '.join(failed)})."

    @property
    def beside(self) -> tuple[Beside, ...]:
        """The leader beside the champion and the best version, by the metric that decides."""
        return tuple(
            Beside(found, self.evidence.model(found.other), self.loop)
            for found in self.evidence.comparisons
            if found.metric == self.metric.name
        )

    @property
    def sections(self) -> Iterator[Section]:
        """The tables and plots."""
        return sections_of(self.evidence)

    @property
    def untested(self) -> str:
        """Answers without test rows, in a few words; empty where there is none."""
        return named(self.evidence.untested)

    @property
    def unlearnt(self) -> str:
        """Answers without training rows, in a few words; empty where there is none."""
        return named(self.evidence.unlearnt)

    @property
    def meaning(self) -> str:
        """What the metric that decides says."""
        return meaning_of(self.metric)

    @property
    def right_or_wrong(self) -> bool:
        """Whether an answer is right or wrong, rather than more or less exact."""
        return task_class(self.evidence.task).right_or_wrong

    @property
    def meanings(self) -> Iterator[tuple[str, str]]:
        """Title of each score -> what it says, in the order in which scores are shown."""
        titles = titles_of(self.evidence.task)
        known = limited(self.evidence.task)
        for name, title in titles.items():
            if name in known and any(name in model.scores for model in self.evidence.models):
                yield title, meaning_of(known[name])

    @property
    def lines(self) -> Iterator[ScoreLine]:
        """The scores side by side."""
        metrics = {metric.name: metric for metric in metrics_of(self.evidence.task)}
        titles = titles_of(self.evidence.task)
        models = self.evidence.models
        measured = {name for model in models for name in model.scores}
        asked = [name for name in titles if name in measured or name not in NEEDED]
        for name in dict.fromkeys((*asked, *(name for model in models for name in model.scores))):
            metric = metrics.get(name)
            decides = " (decides)" if name == self.metric.name else ""
            scores = [model.scores.get(name) for model in models]
            ends = [model.intervals.get(name) for model in models]
            why = next((model.left_out[name] for model in models if name in model.left_out), NOT_RECORDED)
            yield _line(titles.get(name, name) + decides, scores, metric, ends, why, partial(told, name))
            if decides:
                validation = [model.validation.get(name) for model in models]
                yield _line(f"{self.metric.title} on validation rows", validation)

    @property
    def spread(self) -> list[tuple[str, tuple[str, ...]]]:
        """How the targets are spread: a name, then its number in each split."""
        profiles = [self.card.profiles[name] for name in self.card.rows]
        numbers = [
            (name, tuple(shown(profile.numbers[name]) for profile in profiles))
            for name in profiles[0].numbers
            if "/" not in name
        ]
        shares = [
            (name, tuple(f"{100 * profile.shares[name]:.1f} %" for profile in profiles))
            for name in profiles[0].shares
            if all(name in profile.shares for profile in profiles)
        ]
        return [*numbers, *shares]

    @property
    def days(self) -> list[tuple[str, str]]:
        """The newest published days with the digests of their rows, the newest first."""
        return sorted(self.card.partitions.items(), reverse=True)[:MOST_DAYS]


def _line(
    title: str,
    values: Sequence[float | None],
    metric: MetricSpec | None = None,
    intervals: Sequence[tuple[float, float] | None] = (),
    missing: str = NOT_RECORDED,
    tell: Callable[[float], str] = shown,
) -> ScoreLine:
    known = [value for value in values if value is not None]
    best = (max if metric.higher_is_better else min)(known) if metric and known else None
    return ScoreLine(
        title,
        tuple(
            (
                missing if value is None else tell(value),
                value is not None and value == best,
                shown_interval(ends) if ends else "",
            )
            for value, ends in zip(values, intervals or [None] * len(values), strict=True)
        ),
    )


def meaning_of(metric: MetricSpec) -> str:
    """What a score by `metric` says, and which way is better."""
    better = "More is better." if metric.higher_is_better else "Less is better."
    return f"{metric.meaning} {better}"


def named(names: Sequence[str]) -> str:
    """The first of `names` with commas, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def render(report: Report, *, texts: bool = True) -> str:
    """The page as HTML. Texts of rows are escaped: they come from outside; False: they are left out."""
    environment = Environment(
        loader=PackageLoader("lakeloop.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        holdings=holdings,
        shown=shown,
        signed=shown_signed,
        cell=cell,
        excerpt=excerpt,
        scatter=Scatter.of,
        figures=SearchFigures,
        capitalize_first=lambda text: f"{text[:1].upper()}{text[1:]}",
    )
    environment.globals.update(
        counted=counted,
        TALL=TALL,
        MOST_ROWS=MOST_ROWS,
        MOST_MISTAKES=MOST_MISTAKES,
        FIRST_MISTAKES=FIRST_MISTAKES,
        SHORT=_SHORT,
    )
    page = environment.get_template("report.html.j2").render(report=report, texts=texts)
    # Indentation is for who reads the template.
    return "\n".join(filter(None, (line.strip() for line in page.splitlines()))) + "\n"
