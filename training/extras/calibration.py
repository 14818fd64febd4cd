"""How sure a model is, brought in line with how often it is right: temperature scaling (Guo et al. 2017).

One number divides all outputs. It goes into the last layer's weights, so that the artifact, its ONNX file and
the server are as they are without it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import nn

from training.extras.vote import outputs_of
from training.job import Job, Trained
from training.tasks.base import TrainingTask

log = logging.getLogger(__name__)

LIMITS = (0.1, 10.0)
"""Of a temperature: where all validation rows are right, the loss alone would ask for none at all."""
_BINS = 10


def calibrated(job: Job, task: TrainingTask, trained: Trained) -> Trained:
    """`trained`; if the job wants it, with outputs at the temperature that the validation rows ask for."""
    if "calibration" not in job.settings:
        return trained
    head = trained.network.head
    assert isinstance(head, nn.Linear), "the loop file is refused for other networks"
    rows = job.dataset.validation
    with job.timed("calibrate"):
        outputs = outputs_of(job, trained.network)
        temperature = temperature_of(task, outputs, rows.targets)
    with torch.no_grad():
        head.weight.div_(temperature)
        head.bias.div_(temperature)
    before, after = (calibration_error(each, rows.targets) for each in (outputs, outputs / temperature))
    log.info("temperature %.3f: calibration error %.4f, and %.4f before", temperature, after, before)
    found = {"temperature": temperature, "calibration_error": after, "calibration_error_before": before}
    job.tracker.log({f"calibration/{key}": value for key, value in found.items()})
    scores = job.judge.score(task, outputs / np.float32(temperature))
    details: dict[str, Any] = {**trained.details, "calibration": found}
    return replace(trained, validation=scores, details=details)


def temperature_of(task: TrainingTask, outputs: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """The number within `LIMITS` that `outputs` [rows, width] are divided by for the smallest loss."""
    logits, right = torch.from_numpy(outputs).double(), torch.from_numpy(targets)

    def loss(logarithm: float) -> float:
        return task.loss(logits / float(np.exp(logarithm)), right).item()

    found = minimize_scalar(loss, bounds=tuple(np.log(LIMITS)), method="bounded")
    return float(np.exp(found.x))


def calibration_error(outputs: NDArray[np.float32], targets: NDArray[np.int64]) -> float:
    """How far the chance of the likeliest class is from how often that is right, from 0 to 1.

    Expected calibration error of Naeini et al. (2015), in ten bins of one width.
    """
    chances = torch.from_numpy(outputs).double().softmax(1).numpy()
    sure, right = chances.max(1), chances.argmax(1) == targets
    bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, sure - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(sure))
