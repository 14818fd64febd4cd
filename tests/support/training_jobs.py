"""The config of a training job on a tiny base model and a tiny data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakeloop.base_model import BaseModel
from lakeloop.measures.registry import metrics_of
from lakeloop.spec.clean import Clean
from lakeloop.spec.origins import origins_of
from lakeloop.spec.tasks import Classification, Regression, Task
from lakeloop.spec.train import FINETUNE, Train
from tests.support.tiny_bert import LABELS
from training.job_config import JobConfig

SMALL = {"max_tokens": 24, "batch_size": 8, "epochs": 3, "patience": 3, "learning_rate": 3e-3}

CLASSES = Classification(kind="classification", text="text", label="label", labels=LABELS)
NUMBERS = Regression(kind="regression", text="text", value="points", minimum=0)


@dataclass(frozen=True)
class Folders:
    """Where the job of a test finds things and leaves them."""

    dataset: Path
    cache: Path
    journals: Path


def job_config(
    base: BaseModel,
    folders: Folders,
    method: str | Mapping[str, Any] = "top_layers",
    *,
    task: Task = CLASSES,
    normalise: bool = True,
    metric: str = "",
    beside: Mapping[str, Path] | None = None,
    **train: Any,
) -> JobConfig:
    """A job of candidate `finetune` by `method`; `train` are keys of that section, over those of `SMALL`."""
    section = Train.model_validate({**SMALL, "base_model": base.name, "method": method, **train})
    candidate = section.candidate(FINETUNE)
    return JobConfig(
        loop="small",
        partition="2026-11-18",
        candidate=candidate,
        train=section,
        task=task,
        clean=Clean(normalise=normalise),
        metric=metric or metrics_of(task.kind)[0].name,
        origins=origins_of(section, candidate, {}),
        dataset=folders.dataset,
        base_folder=base.folder,
        beside=dict(beside or {}),
        cache=folders.cache,
        journals=folders.journals,
        stage="train-finetune-job",
        key="job-1",
    )
