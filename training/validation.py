"""How a network does on the validation rows: every metric of the task, and the loss.

Outputs become answers and scores by the functions that evaluation uses, so that what chooses an epoch is
what the gate judges by. The report on a model is `lakeloop.evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from lakeloop.measures.base import MetricSpec
from lakeloop.measures.registry import metrics_of
from lakeloop.tasks.base import OutputContract, Task
from training.data import Rows
from training.tasks.base import TrainingTask

LOSS = "loss"


@dataclass(frozen=True)
class Scores:
    """How some outputs score against the right answers."""

    named: Mapping[str, float]
    """Every metric of the task, and `loss`, the mean over the rows."""
    rank: tuple[float, float]
    """What epochs are compared by, more is better: on a few hundred rows the deciding metric often ties, and
    then the loss decides."""

    @property
    def loss(self) -> float:
        return self.named[LOSS]


@dataclass(frozen=True)
class Judge:
    """Scores outputs on `rows`."""

    task: Task
    contract: OutputContract
    rows: Rows
    metric: MetricSpec
    """The metric that decides."""

    def score(self, learnt: TrainingTask, outputs: NDArray[Any]) -> Scores:
        """Scores of `outputs`, float32 [rows, width], by the loss of `learnt`."""
        answers = self.task.decode(self.contract, outputs)
        outcomes = self.task.outcomes(answers, self.rows.values)
        named = {metric.name: metric.compute(outcomes) for metric in metrics_of(self.contract.kind)}
        loss = learnt.loss(torch.from_numpy(outputs).double(), torch.from_numpy(self.rows.targets)).item()
        decisive = self.metric.advantage(named[self.metric.name], 0.0)
        return Scores({**named, LOSS: loss}, (decisive, -loss))
