"""Language models of some thousand weights, and rows of words that they turn round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.spec.tasks.writing import WritingTask
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.tiny_writers import ASKED, KINDS, make_turned_dataset, make_writer
from training.job import Job, open_job
from training.job_config import JobConfig


@pytest.fixture(scope="session")
def writers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseModel]:
    """Architecture -> a random model of it."""
    folder = tmp_path_factory.mktemp("writers")
    return {kind: find_base_model(f"models/{kind}", make_writer(folder / kind, kind)) for kind in KINDS}


@pytest.fixture(scope="session")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_turned_dataset(tmp_path_factory.mktemp("turned") / "rows")


@pytest.fixture
def make_writing(
    make_config: Callable[..., JobConfig], writers: dict[str, BaseModel], turned: Path
) -> Callable[..., JobConfig]:
    """`make_writing("llama", "lora", task=ASKED, epochs=2, ...)`: a job on such a model."""

    def make(kind: str, method: Any = "full", *, task: WritingTask = ASKED, **options: Any) -> JobConfig:
        steps = {"learning_rate": 3e-3, "batch_size": 16, "epochs": 8, "patience": 8}
        return make_config(method, task=task, dataset=turned, on=writers[kind], **{**steps, **options})

    return make


@pytest.fixture
def make_writing_job(make_writing: Callable[..., JobConfig]) -> Callable[..., Job]:
    """The same, opened."""

    def make(kind: str = "llama", method: Any = "full", **options: Any) -> Job:
        return open_job(make_writing(kind, method, **options), RecordingTracker())

    return make
