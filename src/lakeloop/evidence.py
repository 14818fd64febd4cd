"""What an evaluation found: one frozen object in the lake, which gate, card, status, report and page read.

Light: pages and operators import this module. Making evidence is `lakeloop.evaluation`; keeping it, and what
stands for it in older records, is `lakeloop.evaluation.stored`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from lakeloop.measures.abstaining import Threshold
from lakeloop.measures.leaking import Leak
from lakeloop.records import Formatted, Frozen
from lakeloop.spec.explaining import OCCLUSION, Explain
from lakeloop.tasks.base import Grid

FORMAT = 1
EVIDENCE = "evidence.json"
"""The file, in a folder of the lake that is named by its digest."""


class ModelEvidence(Frozen):
    """One model on the rows."""

    name: str
    """The candidate's name, or `champion`."""
    version: str | None = None
    """Version in the registry; None for a candidate."""
    digest: str
    """Digest of the artifact."""
    folder: str
    """The artifact's folder in the lake."""
    method: str
    dataset_digest: str = ""
    """Digest of the data set that the model was trained on; empty when that is not known."""
    validation: dict[str, float] = Field(default_factory=dict)
    """Scores by name on the validation rows, by which the training chose it."""
    rows_digest: str
    """Content digest of the rows that the model answered."""
    scores: dict[str, float]
    """Scores by name: the metrics of the task, then what else was measured."""
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Name of a score -> the ends of its interval of 95 %; none where nothing is drawn for a score, or in
    evidence that is older than intervals."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Name of a metric that has no score on these rows -> why."""
    tables: tuple[Grid, ...] = Field(default=(), repr=False)
    """What is to be seen beside the scores."""
    thresholds: tuple[Threshold, ...] = Field(default=(), repr=False, exclude_if=lambda known: not known)
    """By which its answers can be held back, chosen on validation rows; none for most kinds of task."""
    newest_day: str = ""
    """The newest day that it was trained on; empty when that is not known."""
    bytes: int = 0
    """Size of the artifact; 0 when that is not known."""

    @property
    def title(self) -> str:
        """For people: `finetune`, `champion v3`, or `best version v1`."""
        return f"{self.name.replace('-', ' ')} {self.version}" if self.version else self.name

    @property
    def called(self) -> str:
        """For sentences, where a candidate's name could be any word: `the candidate finetune`."""
        return f"the {self.title}" if self.version else f"the candidate {self.title}"


class SliceChange(Frozen):
    """What changes for a part of the rows, where one model takes the place of another."""

    name: str
    """`answer refund`, `length short`."""
    rows: int
    gained: int
    """Rows that are better answered."""
    lost: int
    """Rows that are worse answered."""
    p_worse: float
    """Chance of so many losses, or more, between two models that are equally good on these rows, corrected
    for the number of slices."""

    @property
    def loss(self) -> float:
        """Rows lost and not gained, as a share of the rows; negative where more are gained."""
        return (self.lost - self.gained) / self.rows


class Comparison(Frozen):
    """The leader beside another model, row by row on the same rows."""

    candidate: str
    """Name of the leader."""
    other: str
    """Name of the model that it is compared with."""
    metric: str
    test: str
    """How the difference was tested, for people."""
    rows: int
    gained: int
    """Rows that the leader answers better."""
    lost: int
    """Rows that the leader answers worse."""
    advantage: float
    """How much better the leader's score is; negative where it is worse."""
    low: float
    """Lower end of the interval that has the true advantage with 90 %."""
    high: float
    p_better: float
    """Chance of such an advantage, or a larger one, between two models that are equally good."""
    p_worse: float
    """Chance of such an advantage, or a smaller one, between two models that are equally good."""
    candidates: int = Field(default=1, exclude_if=lambda count: count == 1)
    """How many the leader is the best of, by the same rows."""
    slices: tuple[SliceChange, ...] = Field(default=(), repr=False)
    """The largest loss first."""

    @property
    def chance(self) -> float:
        """Chance that the best of as many candidates shows such an advantage where all are equally good.

        At most: corrected for their number (Bonferroni). The best of five equal ones is often ahead by luck.
        """
        return min(1.0, self.p_better * self.candidates)


class Mistake(Frozen):
    """A row that a model got wrong."""

    row_id: str
    text: str
    """The beginning of it."""
    expected: str
    answered: str
    error: float
    words: tuple[tuple[str, float], ...] = Field(default=(), exclude_if=lambda words: not words)
    """Words on which the answer hangs most, with how much the model says it by them."""


class Example(Frozen):
    """A row that shows a frequent confusion."""

    expected: str
    answered: str
    row_id: str
    text: str
    """The beginning of it."""


class Evidence(Formatted):
    """Everything that an evaluation found out; two are compared only when they are of the same rows."""

    newest_format: ClassVar[int] = FORMAT

    format: int = FORMAT
    loop: str
    partition: str
    task: str
    """Kind of task."""
    metric: str
    """Name of the score that decides."""
    dataset: str
    """Folder of the data set in the lake."""
    dataset_digest: str
    rows: int
    """Test rows that every model was asked."""
    rows_digest: str
    note: str = ""
    """What was left out of the test rows and why; empty when nothing was."""
    candidates: tuple[ModelEvidence, ...] = Field(min_length=1)
    """The cheapest first."""
    champion: ModelEvidence | None = None
    best: ModelEvidence | None = None
    """The best version of the loop's history, where it is not the champion."""
    comparisons: tuple[Comparison, ...] = ()
    """The leader beside the champion and the best version; none where there is none, or of evaluations that
    compared no rows."""
    untested: tuple[str, ...] = ()
    """Answers that the training rows have and the test rows do not."""
    unlearnt: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Answers of the task that no training row has: no candidate answers them."""
    leaks: tuple[Leak, ...] = Field(default=(), exclude_if=lambda leaks: not leaks, repr=False)
    """What was suspected of the data set when it was frozen."""
    leaked: int | None = None
    """Test rows whose text is among those that the candidates were trained on; None where nobody looked."""
    leader: str
    """Name of the best candidate."""
    wrong: int = 0
    """Rows that the leader got wrong, of which `mistakes` are the worst."""
    mistakes: tuple[Mistake, ...] = Field(default=(), repr=False)
    """Mistakes of the leader, the worst first."""
    explained_by: Explain = Field(default=OCCLUSION, exclude_if=lambda by: by == OCCLUSION)
    """How their words were weighed."""
    examples: tuple[Example, ...] = Field(default=(), repr=False)
    """A row of each of the leader's most frequent confusions, where a page shows these and no matrix."""
    error: str = "error"
    """What the error of a mistake counts, in a few words."""
    made_at: datetime
    run_id: str

    @property
    def models(self) -> tuple[ModelEvidence, ...]:
        """The candidates, then the champion and the best version where there are such."""
        return (*self.candidates, *(model for model in (self.champion, self.best) if model))

    def model(self, name: str) -> ModelEvidence:
        """The model called `name`.

        Raises:
            KeyError: no model of this name was judged.
        """
        return {model.name: model for model in self.models}[name]

    def comparison_with(self, name: str, metric: str) -> Comparison | None:
        """The leader beside the model `name` by `metric`; None where that was not compared."""
        return next((c for c in self.comparisons if (c.other, c.metric) == (name, metric)), None)

    def scores_by(self, metric: str) -> dict[str, float]:
        """Model -> its score by `metric`, of those that have one."""
        return {model.name: model.scores[metric] for model in self.models if metric in model.scores}

    def intervals_by(self, metric: str) -> dict[str, tuple[float, float]]:
        """Model -> interval of its score by `metric`, of those that have one."""
        return {model.name: model.intervals[metric] for model in self.models if metric in model.intervals}
