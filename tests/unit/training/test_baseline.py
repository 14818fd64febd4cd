from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tiny_bert import make_dataset
from training.baseline import train_baseline
from training.head import fit_head
from training.job import Job

MakeJob = Callable[..., Job]


def cached(job: Job) -> list[Path]:
    return sorted((job.config.cache / "embeddings").glob("*.npy"))


def test_the_head_learns_on_a_base_model_that_stays_as_it_is(make_job: MakeJob) -> None:
    job = make_job("baseline")
    before = make_job("baseline")
    trained = train_baseline(job)
    assert trained.validation.macro_f1 > 0.9
    assert trained.method == "logistic_regression"
    fresh = train_baseline(before)
    assert all(torch.equal(v, trained.model.state_dict()[k]) for k, v in fresh.model.state_dict().items())


def test_two_labels_get_two_rows_of_weights(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "two", labels=("sports", "tech"))
    trained = train_baseline(make_job("baseline", dataset=folder))
    assert trained.model.head.weight.shape == (2, 32)
    assert trained.validation.macro_f1 > 0.9


def test_embeddings_are_computed_once(make_job: MakeJob, caplog: pytest.LogCaptureFixture) -> None:
    train_baseline(make_job("baseline"))
    with caplog.at_level(logging.INFO):
        job = make_job("baseline")
        train_baseline(job)
    assert len(cached(job)) == 1
    assert "come from the cache" in caplog.text
    assert "embed" not in job.seconds


def test_embeddings_of_other_texts_or_lengths_are_other_embeddings(make_job: MakeJob, tmp_path: Path) -> None:
    train_baseline(make_job("baseline"))
    train_baseline(make_job("baseline", max_tokens=12))
    job = make_job("baseline", dataset=make_dataset(tmp_path / "other", rows=30))
    train_baseline(job)
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
    job = make_job("baseline")
    first = train_baseline(job)
    (path,) = cached(job)
    whole = path.read_bytes()
    spoil(path)
    again = train_baseline(make_job("baseline"))
    assert torch.equal(first.model.head.weight, again.model.head.weight)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 100.0), (1.0, 0.01)], ids=["clean", "noisy"])
def test_validation_chooses_how_much_the_head_is_regularised(noise: float, chosen: float) -> None:
    draw = np.random.default_rng(0)
    labels = np.arange(40) % 2
    signal = np.eye(2, 20)[labels]
    train, validation = (
        ((1 - 0.9 * noise) * signal + noise * draw.normal(size=signal.shape)).astype(np.float32)
        for _ in range(2)
    )
    head = fit_head(train, labels, validation, labels, choices=(0.01, 100.0))
    assert head.regularisation == chosen
