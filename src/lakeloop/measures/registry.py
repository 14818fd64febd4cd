"""The one list of metrics, by kind of task; the first of a kind judges unless the loop file says another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from lakeloop.errors import ConfigurationError
from lakeloop.measures import classification, multi_label
from lakeloop.measures.base import MetricSpec, Outcomes
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
) -> MetricSpec:
    """A score that a probe measures, and no formula over answers tells."""

    def compute(_: Outcomes) -> float:
        return math.nan

    compute.__doc__ = says
    return MetricSpec(name, title, compute, better=better, highest=highest)


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
COSTS = (TEXTS_PER_SECOND, LATENCY, MEGABYTES)
"""What an answer costs, on the machine of the evaluation: no formula tells it, and it orders nothing."""


def limited(task: str) -> dict[str, MetricSpec]:
    """Name -> score that a gate can set a limit to, of a kind of task."""
    return {metric.name: metric for metric in (*METRICS[task], INVARIANCE, *COSTS)}


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
