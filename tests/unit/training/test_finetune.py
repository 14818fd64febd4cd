from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from lakeloop.errors import ConfigurationError
from lakeloop.spec.models import Train
from lakeloop.tracking.tracker import RecordingTracker
from training import frozen
from training.base_model import BaseModel
from training.data import load_tokenizer, tokenise
from training.finetune import train_finetune
from training.fit import linear_schedule
from training.job import Job, Trained
from training.methods import close_weights, open_weights
from training.model import TextClassifier, layers_of, load_encoder

METHODS = ("top_layers", "lora", "full")

MakeJob = Callable[..., Job]


def losses(trained: Trained) -> list[float]:
    return [epoch["loss"] for epoch in trained.details["epochs"]]


def weights(trained: Trained) -> dict[str, torch.Tensor]:
    return trained.model.state_dict()


@pytest.mark.parametrize("method", METHODS)
def test_each_method_learns(make_job: MakeJob, method: str) -> None:
    trained = train_finetune(make_job(method=method, epochs=6, patience=6))
    assert trained.method == method
    assert losses(trained)[-1] < 0.5 * losses(trained)[0]
    assert trained.validation.macro_f1 > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(make_job: MakeJob, method: str) -> None:
    first, again = (weights(train_finetune(make_job(method=method, epochs=2))) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = weights(train_finetune(make_job(method=method, epochs=2, seed=18)))
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_the_best_epoch_is_kept_and_patience_ends_the_training(make_job: MakeJob) -> None:
    # So fast that it forgets: the scores go up and down.
    job = make_job(method="full", epochs=12, patience=2, learning_rate=0.05)
    trained = train_finetune(job)
    epochs = trained.details["epochs"]
    ranks = [(e["validation"]["macro_f1"], -e["validation"]["loss"]) for e in epochs]
    best = trained.details["best_epoch"]

    assert best == 1 + int(np.argmax([rank[0] - 1e-9 * -rank[1] for rank in ranks]))
    assert len(epochs) == min(12, best + 2)
    assert trained.validation.macro_f1 == epochs[best - 1]["validation"]["macro_f1"]


def test_the_kept_weights_have_the_reported_scores(make_job: MakeJob) -> None:
    job = make_job(method="full", epochs=5, patience=2, learning_rate=0.02)
    job.device = replace(job.device, bf16=False)
    trained = train_finetune(job)
    tokens = job.tokenise()
    first = len(job.dataset.train)
    batch = tokens.batch(np.arange(first, first + len(job.dataset.validation)))
    with torch.inference_mode():
        logits = trained.model.eval()(batch.input_ids, batch.attention_mask)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(job.dataset.validation.labels))
    assert loss.item() == pytest.approx(trained.validation.loss, abs=1e-4)


def test_frozen_layers_that_are_not_kept_make_the_same_training(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train() -> Trained:
        job = make_job(top_layers=1, epochs=2)
        job.device = replace(job.device, bf16=False)
        return train_finetune(job)

    kept = train()
    monkeypatch.setattr(frozen, "LIMIT_BYTES", 0)
    recomputed = train()
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

    monkeypatch.setattr("training.finetune.load_encoder", load_overflowing)
    with pytest.raises(ConfigurationError, match="diverged") as raised:
        train_finetune(make_job())
    assert raised.value.where == "train.learning_rate"


def test_steps_and_epochs_go_to_the_tracker(make_job: MakeJob) -> None:
    job = make_job(epochs=2, patience=2)
    train_finetune(job)
    assert isinstance(job.tracker, RecordingTracker)
    steps = [step for step, values in job.tracker.logged if "train/loss" in values]
    epochs = [(step, values["epoch"]) for step, values in job.tracker.logged if "epoch" in values]
    assert steps == [10, 12, 20, 24]  # 96 rows in batches of 8
    assert epochs == [(12, 1), (24, 2)]
    assert {"train/learning_rate", "train/texts_per_second", "train/seconds"} <= set(job.tracker.logged[0][1])
    assert "validation/macro_f1" in job.tracker.logged[-1][1]


@pytest.mark.parametrize(
    ("train", "frozen_layers", "trained"),
    [
        (Train(method="top_layers", top_layers=1), 1, {"layer.1"}),
        (Train(method="top_layers", top_layers=2), 0, {"layer.0", "layer.1"}),
        (Train(method="full"), 0, {"position_embeddings", "LayerNorm", "layer.0", "layer.1"}),
        (Train(method="lora", lora_rank=2), 0, {"lora_A", "lora_B"}),
    ],
    ids=["one layer", "all layers", "full", "lora"],
)
def test_a_method_opens_its_weights(
    base: BaseModel, train: Train, frozen_layers: int, trained: set[str]
) -> None:
    model = TextClassifier(load_encoder(base, 24), 3)
    assert open_weights(model, train) == frozen_layers
    opened = [name for name, p in model.encoder.named_parameters() if p.requires_grad]
    for part in trained:
        assert any(part in name for name in opened)
    assert not any("word_embeddings" in name for name in opened)
    assert all(p.requires_grad for p in model.head.parameters())
    if train.method != "full":
        assert all(any(part in name for part in trained) for name in opened)


def test_more_top_layers_than_there_are_is_a_configuration_error(base: BaseModel) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_weights(TextClassifier(load_encoder(base, 24), 3), Train(top_layers=3))
    assert (raised.value.where, raised.value.expected) == ("train.top_layers", "at most 2")


def test_merged_adapters_compute_what_the_adapters_computed(base: BaseModel) -> None:
    model = TextClassifier(load_encoder(base, 24), 3)
    plain = set(model.state_dict())
    open_weights(model, Train(method="lora"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    tokens = tokenise(load_tokenizer(base.tokenizer, 24), ["the goal of the team", "chip"])
    batch = tokens.batch(np.arange(2))
    with torch.inference_mode():
        before = model.eval()(batch.input_ids, batch.attention_mask)
        close_weights(model)
        after = model.eval()(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)
    assert set(model.state_dict()) == plain
    assert len(layers_of(model.encoder)) == 2


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
