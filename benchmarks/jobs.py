"""A training job as the benchmarks run it: a classification of one text, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lakeloop.spec.clean import Clean
from lakeloop.spec.origins import origins_of
from lakeloop.spec.tasks import Classification
from lakeloop.spec.train import FINETUNE, Train
from training.job_config import JobConfig


def job_config(
    section: Train, work: Path, labels: Sequence[str], metric: str = "macro_f1", base: Path | None = None
) -> JobConfig:
    """The config of a job on the rows in `work`/dataset; `base` is the folder of a base model, if any."""
    candidate = section.candidate(FINETUNE)
    return JobConfig(
        loop="bench",
        partition="2026-11-18",
        candidate=candidate,
        train=section,
        task=Classification(kind="classification", text="text", label="label", labels=tuple(labels)),
        clean=Clean(),
        metric=metric,
        origins=origins_of(section, candidate, {}),
        dataset=work / "dataset",
        base_folder=base,
        cache=work / "cache",
        journals=work / "journals",
        stage="train-finetune-job",
        key="bench",
    )
