"""A tiny base model, a tiny data set, and a job on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from lakeloop.spec.models import Train
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.tiny_bert import make_base_model, make_dataset
from training.base_model import BaseModel, find_base_model
from training.data import load_tokenizer, read_dataset
from training.device import open_device
from training.job import Job, JobConfig

SMALL = {"max_tokens": 24, "batch_size": 8, "epochs": 3, "patience": 3, "learning_rate": 3e-3}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a runner sets it for a job; here the libraries are loaded already."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return find_base_model("models/tiny", make_base_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("dataset") / "rows")


@pytest.fixture
def make_config(base: BaseModel, dataset_folder: Path, tmp_path: Path) -> Callable[..., JobConfig]:
    """`make_config("finetune", method="lora", dataset=...)`: keys of `train`, and the folder of the data."""

    def make(candidate: str = "finetune", *, dataset: Path = dataset_folder, **train: Any) -> JobConfig:
        return JobConfig(
            loop="small",
            partition="2026-11-18",
            candidate=candidate,  # type: ignore[arg-type]
            train=Train.model_validate({**SMALL, "base_model": base.name, **train}),
            dataset=dataset,
            base_folder=base.folder,
            cache=tmp_path / "cache",
            journals=tmp_path / "journals",
            stage=f"train-{candidate}-job",
            key="job-1",
        )

    return make


@pytest.fixture
def make_job(base: BaseModel, make_config: Callable[..., JobConfig]) -> Callable[..., Job]:
    """The same, opened: a job that reports to memory."""

    def make(candidate: str = "finetune", **options: Any) -> Job:
        config = make_config(candidate, **options)
        return Job(
            config=config,
            base=base,
            device=open_device(config.train.seed),
            dataset=read_dataset(config.dataset),
            tokenizer=load_tokenizer(base.tokenizer, config.train.max_tokens),
            tracker=RecordingTracker(),
        )

    return make
