"""The move of a text: as far as was said, against the network, and gone when the step is over."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lakeloop.inference.encoders.layers import layers_of
from lakeloop.spec.extras import Fgm, Off
from training import frozen
from training.extras.adversarial import Adversary, Plain, learner_of
from training.job import Job
from training.network import Network, load_encoder
from training.train import train

IDS = torch.tensor([[1, 2, 3], [4, 5, 0]])


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.vectors = nn.Embedding(6, 4).requires_grad_(False)
        self.top = nn.Linear(4, 1)

    def loss(self) -> torch.Tensor:
        return (self.top(self.vectors(IDS).mean(1)) - 1).pow(2).mean()


@pytest.mark.parametrize("steps", [1, 3])
def test_texts_are_moved_by_a_share_of_their_length_and_against_the_network(steps: int) -> None:
    small, seen = Small(), []
    adversary = Adversary(small.vectors, 0.2, steps, 0.5 if steps > 1 else 1.0)
    small.vectors.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach()))

    plain = small.loss().item()
    learnt = adversary.learn(small.loss).item()

    assert learnt > plain, "the mean of the loss as it is and of a larger one"
    untouched = small.vectors.weight[IDS]
    moved = (seen[-1] - untouched).flatten(1).norm(dim=1) / untouched.flatten(1).norm(dim=1)
    assert moved.tolist() == pytest.approx([0.2, 0.2], rel=1e-4)
    assert torch.equal(seen[1], untouched)
    assert small.loss().item() == plain, "nothing is moved between steps"
    assert small.top.weight.grad is not None
    assert small.vectors.weight.grad is None


def test_more_steps_find_a_loss_that_is_not_smaller() -> None:
    once, often = Small(), Small()
    first = Adversary(once.vectors, 0.3, 1, 1.0).learn(once.loss)
    assert Adversary(often.vectors, 0.3, 5, 0.5).learn(often.loss) >= first - 1e-6


def test_without_it_the_loss_is_learnt_as_it_is() -> None:
    small = Small()
    learner = learner_of(Off(), small, 0)  # type: ignore[arg-type]
    assert isinstance(learner, Plain)
    assert learner.learn(small.loss).item() == small.loss().item()


def test_what_is_moved_is_what_the_first_trained_layer_reads(make_job: Callable[..., Job]) -> None:
    """Of the last frozen layer the output, else of the word vectors, which no method here trains."""
    encoder = load_encoder(make_job().base, 24)
    network = Network(encoder, 3)
    learner_of(Fgm(), network, 0)
    assert len(encoder.get_input_embeddings()._forward_hooks) == 1
    learner_of(Fgm(), network, 1)
    assert len(layers_of(encoder)[0]._forward_hooks) == 1


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_frozen_layers_are_kept_or_run_each_time(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(frozen, "LIMIT_BYTES", limit)
    method = {"kind": "top_layers", "layers": 1}
    plain, moved = (
        train(make_job(method, epochs=4, patience=4, **told)) for told in ({}, {"adversarial": "fgm"})
    )
    losses = [epoch["loss"] for epoch in moved.details["epochs"]]
    assert losses[-1] < losses[0]
    assert losses[0] != plain.details["epochs"][0]["loss"]
