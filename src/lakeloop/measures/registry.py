"""The one list of metrics, by kind of task; the first of a kind judges unless the loop file says another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from lakeloop.errors import ConfigurationError
from lakeloop.measures import classification, multi_label
from lakeloop.measures.base import MetricSpec, Outcomes, shown, shown_interval
from lakeloop.measures.classification import CLASSIFICATION
from lakeloop.measures.generation import GENERATION
from lakeloop.measures.multi_label import MULTI_LABEL
from lakeloop.measures.regression import REGRESSION
from lakeloop.measures.token_classification import TOKEN_CLASSIFICATION

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _measured(
    name: str,
    title: str,
    says: str,
    *,
    better: Literal["higher", "lower"] = "higher",
    highest: float | None = None,
    counts: bool = False,
) -> MetricSpec:
    """A score that a probe measures, and no formula over answers tells."""

    def compute(_: Outcomes) -> float:
        return math.nan

    compute.__doc__ = says
    return MetricSpec(name, title, compute, better=better, highest=highest, counts=counts)


METRICS: Mapping[str, tuple[MetricSpec, ...]] = {
    "classification": CLASSIFICATION,
    "multi_label": MULTI_LABEL,
    "regression": REGRESSION,
    "token_classification": TOKEN_CLASSIFICATION,
    "seq2seq": GENERATION,
    "causal_lm": GENERATION,
}


CERTAINTIES: Mapping[str, Callable[[Outcomes], tuple[NDArray[Any], NDArray[Any]]]] = {
    "classification": classification.certainty,
    "multi_label": multi_label.certainty,
}
"""Kind of task whose answers have probabilities -> of each answer its probability and whether it is right."""
ABSTAINING = ("classification",)
"""Kinds of task whose answer can be held back as a whole where it is not sure enough."""
WEIGHED = ("classification", "regression")
"""Kinds of task with one answer to a row, which is weighed: by its probability, or as a number."""
TEXTS_PER_SECOND = _measured(
    "texts_per_second", "texts a second", "Rows answered in a second, many at once, where it was evaluated."
)
LATENCY = _measured(
    "latency_ms",
    "milliseconds for a text alone",
    "Median time for a row alone, where it was evaluated.",
    better="lower",
)
MEGABYTES = _measured("megabytes", "size, MB", "Size of the artifact on disk.", better="lower")
INVARIANCE = _measured(
    "invariance",
    "same answer to changed texts",
    "Share of rows that get the same answer when their text is typed differently.",
    highest=1.0,
)
OUT_OF_SCOPE = _measured(
    "out_of_scope_auc",
    "texts out of scope told apart",
    "Chance that a test row gets a more probable label than a text of `evaluate.out_of_scope` (ROC AUC):"
    " at 0.5 they are not told apart at all, at 1 all are.",
    highest=1.0,
)
DOUBTFUL = _measured(
    "doubtful_rows",
    "test rows with a doubtful right answer",
    "Number of test rows whose right answer is probably another, by what the model is sure of (confident"
    " learning).",
    better="lower",
    counts=True,
)
FAIRNESS_GAP = _measured(
    "fairness_gap",
    "gap in right answers",
    "Largest difference between two groups of a column of `evaluate.slices` in the share of right answers.",
    better="lower",
    highest=1.0,
)
SELECTION_GAP = _measured(
    "selection_gap",
    "gap in answers given",
    "Largest difference between two such groups in how often an answer is given (demographic parity).",
    better="lower",
    highest=1.0,
)
ODDS_GAP = _measured(
    "odds_gap",
    "gap in answers given where they are right, or wrong",
    "Largest difference between two such groups in how often an answer is given to rows that have it, or to"
    " rows that have not (equalised odds).",
    better="lower",
    highest=1.0,
)
FAIRNESS = (FAIRNESS_GAP, SELECTION_GAP, ODDS_GAP)
"""How differently groups of rows are treated, of kinds of task with `CERTAINTIES`."""
COSTS = (TEXTS_PER_SECOND, LATENCY, MEGABYTES)
"""What an answer costs, on the machine of the evaluation: no formula tells it, and it orders nothing."""


def limited(task: str) -> dict[str, MetricSpec]:
    """Name -> score that a gate can set a limit to, of a kind of task."""
    measured = [
        INVARIANCE,
        *((OUT_OF_SCOPE, DOUBTFUL) if task in ABSTAINING else ()),
        *(FAIRNESS if task in CERTAINTIES else ()),
        *COSTS,
    ]
    return {metric.name: metric for metric in (*METRICS[task], *measured)}


def told(name: str, score: float, interval: tuple[float, float] | None = None) -> str:
    """The score called `name` for people, and where it would lie with other rows: `0.9266 [0.9083, 0.9430]`.

    A name that is none of ours, as records of before may have one, is told as a pure number.
    """
    metric = _BY_NAME.get(name)
    said = metric.told(score) if metric else shown(score)
    return said if interval is None else f"{said} {shown_interval(interval)}"


NEEDED: Mapping[str, str] = {OUT_OF_SCOPE.name: "out_of_scope"} | {each.name: "slices" for each in FAIRNESS}
"""Score -> the key of section `evaluate` without which it is not measured."""


_BY_NAME: Mapping[str, MetricSpec] = {
    metric.name: metric for task in METRICS for metric in limited(task).values()
}


def metrics_of(task: str) -> tuple[MetricSpec, ...]:
    """The metrics of the kind of task, in the order in which they are shown."""
    return METRICS[task]


def learning_metrics_of(task: str) -> tuple[MetricSpec, ...]:
    """Those that trainings compute and choose by; the others are for evaluations alone."""
    return tuple(metric for metric in METRICS[task] if not metric.evaluation_only)


def metric_of(task: str, name: str | None = None) -> MetricSpec:
    """The metric called `name`, or the first of the kind of task.

    Raises:
        ConfigurationError: the task has no such metric; names those that it has.
    """
    known = METRICS[task]
    for metric in known:
        if name in (None, metric.name):
            return metric
    raise ConfigurationError(
        "no such metric",
        where="evaluate.metric",
        expected=", ".join(metric.name for metric in known),
        found=str(name),
    )
