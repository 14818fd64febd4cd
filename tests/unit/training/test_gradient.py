from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from lakeloop.base_model import BaseModel
from lakeloop.errors import ConfigurationError
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.training_jobs import NUMBERS
from training import frozen
from training.extras.schedule import linear_schedule
from training.job import Job, Trained
from training.network import load_encoder
from training.train import train

METHODS = ("top_layers", "lora", "full")
ONE_LAYER = {"kind": "top_layers", "layers": 1}

MakeJob = Callable[..., Job]


def losses(trained: Trained) -> list[float]:
    return [epoch["loss"] for epoch in trained.details["epochs"]]


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.network.state_dict()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns(make_job: MakeJob, method: str) -> None:
    trained = train(make_job(method, epochs=6, patience=6))
    assert losses(trained)[-1] < 0.5 * losses(trained)[0]
    assert trained.validation.named["macro_f1"] > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns_numbers(make_job: MakeJob, method: str) -> None:
    trained = train(make_job(method, task=NUMBERS, epochs=8, patience=8))
    assert losses(trained)[-1] < 0.5 * losses(trained)[0]
    assert trained.validation.named["r2"] > 0.3


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(make_job: MakeJob, method: str) -> None:
    first, again = (weights(train(make_job(method, epochs=2))) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = weights(train(make_job(method, epochs=2, seed=18)))
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_the_best_epoch_is_kept_and_patience_ends_the_training(make_job: MakeJob) -> None:
    # So fast that it forgets: the scores go up and down.
    job = make_job("full", epochs=12, patience=2, learning_rate=0.05)
    trained = train(job)
    epochs = trained.details["epochs"]
    ranks = [(e["validation"]["macro_f1"], -e["validation"]["loss"]) for e in epochs]
    best = trained.details["best_epoch"]

    assert best == 1 + int(np.argmax([rank[0] - 1e-9 * -rank[1] for rank in ranks]))
    assert len(epochs) == min(12, best + 2)
    assert trained.validation.named["macro_f1"] == epochs[best - 1]["validation"]["macro_f1"]


def test_the_kept_weights_have_the_reported_scores(make_job: MakeJob) -> None:
    job = make_job("full", epochs=5, patience=2, learning_rate=0.02)
    job.device = replace(job.device, bf16=False)
    trained = train(job)
    tokens = job.tokenise()
    first = len(job.dataset.train)
    batch = tokens.batch(np.arange(first, first + len(job.dataset.validation)))
    with torch.inference_mode():
        outputs = trained.network.eval()(batch.input_ids, batch.attention_mask)
    loss = torch.nn.functional.cross_entropy(outputs, torch.from_numpy(job.dataset.validation.targets))
    assert loss.item() == pytest.approx(trained.validation.loss, abs=1e-4)


def test_frozen_layers_that_are_not_kept_make_the_same_training(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_once() -> Trained:
        job = make_job(ONE_LAYER, epochs=2)
        job.device = replace(job.device, bf16=False)
        return train(job)

    kept = train_once()
    monkeypatch.setattr(frozen, "LIMIT_BYTES", 0)
    recomputed = train_once()
    # Not the same bits: rows are batched otherwise, and dropout draws in another order.
    assert losses(recomputed) == pytest.approx(losses(kept), rel=0.1)
    lower = "encoder.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(weights(kept)[lower], weights(recomputed)[lower])


def test_a_training_that_diverges_says_so(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_overflowing(base: BaseModel, max_tokens: int) -> PreTrainedModel:
        encoder = load_encoder(base, max_tokens)
        with torch.no_grad():
            encoder.get_parameter("encoder.layer.1.output.dense.bias").fill_(float("inf"))
        return encoder

    monkeypatch.setattr("training.gradient.load_encoder", load_overflowing)
    with pytest.raises(ConfigurationError, match="diverged") as raised:
        train(make_job())
    assert raised.value.where == "train.learning_rate"


def test_steps_and_epochs_go_to_the_tracker(make_job: MakeJob) -> None:
    job = make_job(epochs=2, patience=2)
    train(job)
    assert isinstance(job.tracker, RecordingTracker)
    steps = [step for step, values in job.tracker.logged if "train/loss" in values]
    epochs = [(step, values["epoch"]) for step, values in job.tracker.logged if "epoch" in values]
    assert steps == [10, 12, 20, 24]  # 96 rows in batches of 8
    assert epochs == [(12, 1), (24, 2)]
    told = {"train/learning_rate", "train/texts_per_second", "train/seconds", "train/gradient_norm"}
    assert told | {"system/cores", "system/memory_mb"} <= set(job.tracker.logged[0][1])
    assert "validation/macro_f1" in job.tracker.logged[-1][1]


def test_the_deciding_metric_chooses_the_epoch(make_job: MakeJob) -> None:
    """Less is better of mae: the epoch with the smallest one is kept."""
    trained = train(make_job("full", task=NUMBERS, epochs=8, patience=8, learning_rate=0.03, metric="mae"))
    errors = [epoch["validation"]["mae"] for epoch in trained.details["epochs"]]
    assert len(set(errors)) > 1
    assert trained.validation.named["mae"] == min(errors) == errors[trained.details["best_epoch"] - 1]


def test_the_learning_rate_is_that_of_the_method_unless_the_file_says_another(make_job: MakeJob) -> None:
    rates = []
    for rate in (None, 2e-3):
        job = make_job("full", epochs=1, learning_rate=rate)
        train(job)
        assert isinstance(job.tracker, RecordingTracker)
        rates.append(max(values.get("train/learning_rate", 0) for _, values in job.tracker.logged))
    assert rates[0] < 1e-4 < rates[1] < 2e-3


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = linear_schedule(optimiser, 20)
    rates = []
    for _ in range(20):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        schedule.step()
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert 0 < rates[-1] < 0.1
    assert schedule.get_last_lr()[0] == 0
