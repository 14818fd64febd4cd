"""The one list of metrics, by kind of task; the first of a kind judges unless the loop file says another."""

from __future__ import annotations

from collections.abc import Mapping

from lakeloop.errors import ConfigurationError
from lakeloop.measures.base import MetricSpec
from lakeloop.measures.classification import CLASSIFICATION
from lakeloop.measures.generation import GENERATION
from lakeloop.measures.multi_label import MULTI_LABEL
from lakeloop.measures.regression import REGRESSION
from lakeloop.measures.token_classification import TOKEN_CLASSIFICATION

METRICS: Mapping[str, tuple[MetricSpec, ...]] = {
    "classification": CLASSIFICATION,
    "multi_label": MULTI_LABEL,
    "regression": REGRESSION,
    "token_classification": TOKEN_CLASSIFICATION,
    "seq2seq": GENERATION,
    "causal_lm": GENERATION,
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
