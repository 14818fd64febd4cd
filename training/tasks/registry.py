"""The one list of tasks on the side of training. Each is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from lakeloop.errors import ConfigurationError
from lakeloop.tasks.base import OutputContract
from training.tasks.base import TrainingTask

TASKS: Mapping[str, str] = {
    "classification": "training.tasks.classification:TrainingClassification",
    "multi_label": "training.tasks.multi_label:TrainingMultiLabel",
    "regression": "training.tasks.regression:TrainingRegression",
    "token_classification": "training.tasks.token_classification:TrainingTokenClassification",
    "seq2seq": "training.tasks.generation:TrainingGeneration",
    "causal_lm": "training.tasks.generation:TrainingGeneration",
}
"""Kind, as `lakeloop.tasks.registry` has it -> the class of its torch side."""


def training_task(contract: OutputContract) -> TrainingTask:
    """The torch side of the task that `contract` is of.

    Raises:
        ConfigurationError: the task has no torch side; names the tasks that have one.
    """
    if contract.kind not in TASKS:
        raise ConfigurationError(
            "the task cannot be trained", where="task.kind", expected=", ".join(TASKS), found=contract.kind
        )
    module, name = TASKS[contract.kind].split(":")
    build: Any = getattr(importlib.import_module(module), name)
    task: TrainingTask = build(contract)
    return task
