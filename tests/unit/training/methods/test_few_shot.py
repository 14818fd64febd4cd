"""Few-shot: what belongs together is learnt from pairs of a few rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.tiny_bert import make_dataset, make_rows
from training.job import Job
from training.methods.few_shot import contrast, paired_batches
from training.train import train

MakeJob = Callable[..., Job]
TARGETS = np.array([0, 1, 0, 2, 1, 0, 1, 1, 3])


def test_every_row_of_an_epoch_stands_beside_one_of_its_target() -> None:
    batches = list(paired_batches(TARGETS, 4, (17, 1)))
    assert all(len(batch) <= 4 for batch in batches)
    rows = np.concatenate(batches)
    assert set(rows.tolist()) == set(range(len(TARGETS)))
    pairs = [(int(a), int(b)) for a, b in rows.reshape(-1, 2)]
    assert all(TARGETS[a] == TARGETS[b] for a, b in pairs)
    assert [(a, b) for a, b in pairs if a == b] == [(3, 3), (8, 8)] or len(pairs) == 6
    assert np.bincount(rows).max() <= 2


def test_epochs_differ_and_are_the_same_again() -> None:
    first, second = (np.concatenate(list(paired_batches(TARGETS, 4, (17, epoch)))) for epoch in (1, 2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, np.concatenate(list(paired_batches(TARGETS, 4, (17, 1)))))


def test_the_loss_is_that_of_the_formula() -> None:
    embeddings, targets = torch.randn(6, 5, generator=torch.Generator().manual_seed(2)), [0, 0, 1, 1, 1, 0]
    unit = [row / row.norm() for row in embeddings]
    wanted = 0.0
    for i, anchor in enumerate(unit):
        others = [j for j in range(6) if j != i]
        below = sum(math.exp(float(anchor @ unit[j]) / 0.2) for j in others)
        alike = [j for j in others if targets[j] == targets[i]]
        wanted -= sum(float(anchor @ unit[j]) / 0.2 - math.log(below) for j in alike) / len(alike)
    found = contrast(embeddings, torch.tensor(targets), 0.2)
    assert float(found) == pytest.approx(wanted / 6, rel=1e-5)


def test_a_few_rows_are_enough_and_never_worse_than_the_untouched_base_model(
    make_job: MakeJob, tmp_path: Path
) -> None:
    few = make_dataset(tmp_path / "few", rows=12, validation=make_rows(60, seed=2))
    trained = train(make_job("few_shot", dataset=few, epochs=8, learning_rate=2e-3, batch_size=12))
    head = train(make_job("head", dataset=few))
    assert trained.validation.rank >= head.validation.rank
    assert trained.details["best_epoch"] > 0
    again = train(make_job("few_shot", dataset=few, epochs=8, learning_rate=2e-3, batch_size=12))
    for one, other in pairwise([trained.network.state_dict(), again.network.state_dict()]):
        assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_weights_of_the_best_epoch_are_kept(make_job: MakeJob) -> None:
    # So fast that it only gets worse.
    jobs = make_job("few_shot", epochs=2, learning_rate=0.9), make_job("head")
    for job in jobs:  # in bfloat16 the fused attention of one is not bit for bit that of the other
        job.device = replace(job.device, bf16=False)
    trained, untouched = map(train, jobs)
    assert trained.details["best_epoch"] == 0
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, untouched.network.state_dict()[name]), name
