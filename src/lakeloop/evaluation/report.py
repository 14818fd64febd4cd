"""The evaluation as one HTML file that needs no network: what a person reads before trusting a model.

Layout and words are in `templates/report.html.j2`; here is what the page is given, already in the order in
which it is shown. Nothing is computed twice: scores come from `metrics`, answers from `predict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from lakeloop.datasets.freeze import DatasetCard
from lakeloop.evaluation.catalogue import METRICS, MetricSpec
from lakeloop.evaluation.predict import Judged, Mistake
from lakeloop.spec.models import Gate

EXCERPT_CHARACTERS = 280


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    loop: str
    partition: str
    metric: MetricSpec
    """The one that candidates are ordered by."""
    rules: Gate
    models: Sequence[Judged]
    """Candidates, then the champion when there is one."""
    leader: Judged
    """The best candidate: its labels, confusion and mistakes are shown first."""
    champion_version: str | None
    mistakes: Sequence[Mistake]
    """Of the leader, worst first."""
    card: DatasetCard
    made_at: datetime
    run_id: str
    note: str = ""
    """On the test rows that were left out, see `fair`; empty when none were."""

    @property
    def champion(self) -> Judged | None:
        return next((model for model in self.models if model.name == "champion"), None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the leader's confusion matrix: the labels, then perhaps one for answers that are none."""
        extra = ("another label",) if len(self.leader.scores.confusion[0]) > len(self.card.labels) else ()
        return (*self.card.labels, *extra)

    @property
    def wrong(self) -> int:
        """Wrong answers of the leader, of which `mistakes` are the worst."""
        return sum(
            count
            for row, counts in enumerate(self.leader.scores.confusion)
            for column, count in enumerate(counts)
            if row != column
        )

    @property
    def summary(self) -> str:
        """The result in one sentence."""
        score = self.score(self.leader)
        sentence = (
            f"The best candidate is the {self.leader.name} ({self.leader.description.method}) "
            f"with {self.metric.title} {score:.4f} on {self.leader.scores.rows} test rows"
        )
        if self.champion is None:
            return f"{sentence}. There was no champion to compare with."
        lead = self.metric.advantage(score, self.score(self.champion))
        compared = f"{abs(lead):.4f} {'better' if lead >= 0 else 'worse'} than" if lead else "as good as"
        return f"{sentence}: {compared} the champion {self.champion_version}."

    def score(self, model: Judged) -> float:
        """Of `model`, by the metric that counts."""
        return model.scores.named()[self.metric.name]


def render(report: Report) -> str:
    """The page. Texts of rows are escaped: they come from outside."""
    environment = Environment(
        loader=PackageLoader("lakeloop.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["excerpt"] = excerpt
    return environment.get_template("report.html.j2").render(report=report, metrics=METRICS)


def excerpt(text: str) -> str:
    """The beginning of `text`, cut at a space, with an ellipsis when something is left out."""
    text = " ".join(text.split())
    if len(text) <= EXCERPT_CHARACTERS:
        return text
    return f"{text[:EXCERPT_CHARACTERS].rsplit(' ', 1)[0]} …"
