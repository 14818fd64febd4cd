"""How a network does on the validation rows: every metric that trainings choose by, and the loss.

Outputs become answers and scores by the functions that evaluation uses, so that what chooses an epoch is
what the gate judges by. The report on a model is `lakeloop.evaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lakeloop.measures.base import MetricSpec
from lakeloop.measures.registry import learning_metrics_of
from lakeloop.tasks.base import OutputContract, Task
from training.data import Rows, Tokens
from training.tasks.base import TrainingTask

if TYPE_CHECKING:
    from lakeloop.tasks.base import Outputs

LOSS = "loss"


@dataclass(frozen=True)
class Scores:
    """How some outputs score against the right answers."""

    named: Mapping[str, float]
    """Every metric of the task that trainings choose by, and `loss`, the mean over the rows."""
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
    tokens: Tokens | None = None
    """Of the rows, where outputs are of each of their tokens."""

    def score(self, learnt: TrainingTask, outputs: Outputs) -> Scores:
        """Scores of `outputs`, float32 [rows, width] or of rows [tokens, width], by the loss of `learnt`."""
        answers = self.task.decode(self.contract, outputs, self.tokens.read if self.tokens else ())
        outcomes = self.task.outcomes(answers, self.rows.values)
        named = {metric.name: metric.compute(outcomes) for metric in learning_metrics_of(self.contract.kind)}
        loss = self._loss(learnt, outputs)
        decisive = self.metric.advantage(named[self.metric.name], 0.0)
        return Scores({**named, LOSS: loss}, (decisive, -loss))

    def _loss(self, learnt: TrainingTask, outputs: Outputs) -> float:
        if self.tokens is None:
            targets = self.rows.targets
            return learnt.loss(
                torch.from_numpy(np.asarray(outputs)).double(), torch.from_numpy(targets)
            ).item()
        # All tokens as one row: the loss is a mean over tokens.
        flat, targets = np.concatenate(list(outputs)), np.concatenate(self.tokens.targets)
        return learnt.loss(torch.from_numpy(flat).double()[None], torch.from_numpy(targets)[None]).item()
