"""The move of a text: as far as was said, against the network, and gone when the step is over."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lakeloop.spec.extras import Fgm, Off
from training.extras.adversarial import Adversary, Plain, learner_of

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
    assert Fgm().epsilon == 0.1
