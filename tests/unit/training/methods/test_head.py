from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tiny_bert import make_dataset
from tests.support.training_jobs import CLASSES, NUMBERS
from training.job import Job
from training.train import train

MakeJob = Callable[..., Job]


def cached(job: Job) -> list[Path]:
    return sorted((job.config.cache / "embeddings").glob("*.npy"))


def test_the_head_learns_on_a_base_model_that_stays_as_it_is(make_job: MakeJob) -> None:
    job = make_job("head")
    before = make_job("head")
    trained = train(job)
    assert trained.validation.named["macro_f1"] > 0.9
    fresh = train(before)
    assert all(torch.equal(v, trained.network.state_dict()[k]) for k, v in fresh.network.state_dict().items())


def test_the_head_learns_numbers(make_job: MakeJob) -> None:
    job = make_job("head", task=NUMBERS)
    trained = train(job)
    assert set(trained.validation.named) == {"mae", "rmse", "r2", "spearman", "loss"}
    assert trained.validation.named["r2"] > 0.3
    assert trained.validation.loss < 0.7  # of answering with the mean: about 1
    assert trained.network.head.weight.shape == (1, 32)


def test_two_labels_get_two_rows_of_weights(make_job: MakeJob, tmp_path: Path) -> None:
    two = ("sports", "tech")
    folder = make_dataset(tmp_path / "two", labels=two)
    trained = train(make_job("head", dataset=folder, task=CLASSES.model_copy(update={"given_labels": two})))
    assert trained.network.head.weight.shape == (2, 32)
    assert trained.validation.named["macro_f1"] > 0.9


def test_embeddings_are_computed_once(make_job: MakeJob, caplog: pytest.LogCaptureFixture) -> None:
    train(make_job("head"))
    with caplog.at_level(logging.INFO):
        job = make_job("head")
        train(job)
    assert len(cached(job)) == 1
    assert "come from the cache" in caplog.text
    assert "embed" not in job.seconds


def test_embeddings_of_other_texts_or_lengths_are_other_embeddings(make_job: MakeJob, tmp_path: Path) -> None:
    train(make_job("head"))
    train(make_job("head", max_tokens=12))
    job = make_job("head", dataset=make_dataset(tmp_path / "other", rows=30))
    train(job)
    assert len(cached(job)) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no numpy file"),
        lambda path: np.save(path, np.zeros((3, 32), dtype=np.float32)),
        lambda path: np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True),
    ],
    ids=["torn", "empty", "foreign", "too few rows", "pickle"],
)
def test_a_broken_cache_is_computed_again(make_job: MakeJob, spoil: Callable[[Path], object]) -> None:
    job = make_job("head")
    first = train(job)
    (path,) = cached(job)
    whole = path.read_bytes()
    spoil(path)
    again = train(make_job("head"))
    assert torch.equal(first.network.head.weight, again.network.head.weight)
    assert path.read_bytes() == whole
