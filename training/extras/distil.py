"""Learning from a teacher's chances beside the right answers (Hinton et al. 2015).

The teacher is an artifact and answers as it would when it is served. Its answers are kept in the cache of the
jobs: a training that goes on does not ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import kl_div

from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.records import fingerprint
from lakeloop.tasks.base import OutputContract
from lakeloop.tasks.reading import Instance, as_instances
from training.embed import read_cached, write_cached

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Outputs [rows, width] and targets [rows, ...] -> the mean loss over the rows, a scalar."""
_SMALLEST = 1e-6
"""Of a chance: its logarithm is taken."""


def with_answers(targets: NDArray[np.int64], chances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Right classes, then a teacher's chances of each class: float32 [rows, 1 + classes]."""
    return np.concatenate([targets[:, None].astype(np.float32), chances], axis=1)


def distilled(own: Loss, share: float, temperature: float) -> Loss:
    """`own` on the right classes and, by its `share`, the distance to the teacher; targets as `with_answers`.

    Equation 4 of Hinton et al.: both distributions at `temperature`, times its square.
    """

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        right, chances = targets[:, 0].long(), targets[:, 1:]
        teacher = torch.log_softmax(chances.clamp_min(_SMALLEST).log() / temperature, dim=1)
        student = torch.log_softmax(outputs / temperature, dim=1)
        distance = kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2
        return (1 - share) * own(outputs, right) + share * distance

    return loss


def answers_of(
    teacher: Path, contract: OutputContract, rows: Sequence[str] | Sequence[Instance], cache: Path
) -> NDArray[np.float32]:
    """The chances that the artifact in folder `teacher` gives each class of `contract`, [rows, classes].

    Raises:
        ArtifactError: the folder is not whole.
        ConfigurationError: the artifact answers another question.
    """
    predictor = Predictor(teacher)
    told = predictor.description.contract
    if told.kind != contract.kind or set(told.names) != set(contract.names):
        raise ConfigurationError(
            "the teacher gives other answers",
            where="train.distil",
            expected=f"{contract.kind} with {', '.join(contract.names)}",
            found=f"{told.kind} with {', '.join(told.names)}",
            remedy="name a model of the same answers, or train without a teacher: --set train.distil=none",
        )
    folder = cache / "teachers"
    rows = as_instances(rows)
    asked = [[row.text, row.beside] if row.beside else row.text for row in rows]
    key = fingerprint(teacher=predictor.digest, names=list(contract.names), texts=asked)
    if (cached := read_cached(folder, key, len(rows), "a teacher's answers")) is not None:
        return cached
    answers = cast("list[Any]", predictor.predict(rows))
    chances = np.array([[each.scores[name] for name in contract.names] for each in answers], dtype=np.float32)
    write_cached(folder, key, chances)
    return chances
