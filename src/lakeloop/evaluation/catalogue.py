"""The scores a loop can be judged by: their names and which direction is better.

How they are computed is `metrics`; what is good enough is the loop file's `gate`. Light: the gate uses it.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.errors import ConfigurationError


@dataclass(frozen=True)
class MetricSpec:
    """A score and its direction."""

    name: str
    title: str
    """For people."""
    higher_is_better: bool = True

    def advantage(self, score: float, other: float) -> float:
        """How much better `score` is than `other`; negative when it is worse."""
        return score - other if self.higher_is_better else other - score


METRICS = (
    MetricSpec("macro_f1", "macro F1"),
    MetricSpec("accuracy", "accuracy"),
    MetricSpec("log_loss", "log loss", higher_is_better=False),
)


def metric_named(name: str) -> MetricSpec:
    """Raises ConfigurationError when there is no such metric; names the known ones."""
    for metric in METRICS:
        if metric.name == name:
            return metric
    raise ConfigurationError(
        "no such metric", where="evaluate.metric", expected=", ".join(m.name for m in METRICS), found=name
    )
