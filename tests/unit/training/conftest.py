"""A tiny base model, tiny data sets, and a job on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from threadpoolctl import threadpool_limits

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.spec.tasks import Regression, Task
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.tiny_bert import make_base_model, make_dataset, make_numbers
from tests.support.training_jobs import CLASSES, Folders, job_config
from training.job import Job, open_job
from training.job_config import JobConfig


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


@pytest.fixture(scope="session")
def numbers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a regression."""
    folder = tmp_path_factory.mktemp("numbers") / "rows"
    return make_dataset(folder, train=make_numbers(120, seed=1), validation=make_numbers(40, seed=2))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with no embeddings; what was traced for other tests is there."""
    folder, graphs = tmp_path / "cache", Path(os.environ["LAKELOOP_CACHE"]) / "graphs"
    folder.mkdir()
    graphs.mkdir(exist_ok=True)
    (folder / "graphs").symlink_to(graphs)
    return folder


@pytest.fixture
def make_config(
    base: BaseModel, dataset_folder: Path, numbers_folder: Path, tmp_path: Path, cache: Path
) -> Callable[..., JobConfig]:
    """`make_config("lora", task=NUMBERS, epochs=2, ...)`: a method, what to learn, keys of `train`."""

    def make(
        method: str | Mapping[str, Any] = "top_layers",
        *,
        task: Task = CLASSES,
        dataset: Path | None = None,
        on: BaseModel | None = None,
        **options: Any,
    ) -> JobConfig:
        usual = numbers_folder if isinstance(task, Regression) else dataset_folder
        folders = Folders(dataset or usual, cache, tmp_path / "journals")
        return job_config(on or base, folders, method, task=task, **options)

    return make


@pytest.fixture
def make_job(make_config: Callable[..., JobConfig]) -> Callable[..., Job]:
    """The same, opened: a job that reports to memory."""

    def make(method: str | Mapping[str, Any] = "top_layers", **options: Any) -> Job:
        return open_job(make_config(method, **options), RecordingTracker())

    return make
