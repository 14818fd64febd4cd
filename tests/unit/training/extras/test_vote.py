"""Networks that answer together: the mean of their answers, a curve for each, a kill in the second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lakeloop.tracking.tracker import RecordingTracker
from tests.support.deadly import Deadly, Killed
from tests.support.training_jobs import NUMBERS
from tests.unit.training.test_resume import folder, own_signals
from training.checkpoint import Checkpoints, State
from training.extras.vote import Vote
from training.job import Job
from training.network import TokenNetwork
from training.train import train

__all__ = ["folder", "own_signals"]

MakeJob = Callable[..., Job]
IDS, MASK = torch.tensor([[2, 5, 6, 3]]), torch.ones(1, 4, dtype=torch.int64)


class Fixed(TokenNetwork):
    def __init__(self, *outputs: float) -> None:
        super().__init__()
        self.outputs = torch.tensor([outputs])

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.outputs


def test_of_classes_the_chances_are_the_mean_of_numbers_the_outputs() -> None:
    members = [Fixed(2.0, 0.0), Fixed(0.0, 1.0)]
    chances = torch.stack([member(IDS, MASK).softmax(1) for member in members]).mean(0)
    torch.testing.assert_close(Vote(members, 2, classes=True)(IDS, MASK).softmax(1), chances)
    torch.testing.assert_close(Vote(members, 2, classes=False)(IDS, MASK), torch.tensor([[1.0, 0.5]]))


def test_the_members_are_those_that_their_seeds_make_alone(make_job: MakeJob) -> None:
    options = {"method": "full", "epochs": 2}
    alone = [train(make_job(**options, seed=seed)) for seed in (17, 18)]
    together = train(make_job(**options, vote=2))
    assert isinstance(together.network, Vote)
    for one, member in zip(alone, together.network.members, strict=True):
        found = member.state_dict()
        assert all(torch.equal(weights, found[name]) for name, weights in one.network.state_dict().items())
    told = together.details["members"]
    assert [each["seed"] for each in told] == [17, 18]
    assert [each["validation"] for each in told] == [dict(one.validation.named) for one in alone]
    best = max(one.validation.loss for one in alone)
    assert together.validation.loss < best


def test_numbers_are_averaged(make_job: MakeJob) -> None:
    trained = train(make_job("full", task=NUMBERS, epochs=4, vote=2))
    worst = max(each["validation"]["loss"] for each in trained.details["members"])
    assert trained.validation.loss <= worst


def test_the_curves_of_the_members_follow_each_other(make_job: MakeJob) -> None:
    job = make_job("full", epochs=2, patience=2, vote=2)
    train(job)
    assert isinstance(job.tracker, RecordingTracker)
    epochs = [(step, values["epoch"]) for step, values in job.tracker.logged if "epoch" in values]
    assert epochs == [(12, 1), (24, 2), (36, 3), (48, 4)]


class InSecond(Deadly):
    """A kill in the training of the second member."""

    def save(self, step: int, state: State) -> None:
        Checkpoints.save(self, step, state)
        if self.folder.name == "member-1" and step in self.kills:
            self.kills.remove(step)
            raise Killed


def test_killed_in_the_second_it_ends_with_the_same_bits(make_job: MakeJob, folder: Path) -> None:
    options = {"method": "full", "epochs": 2, "vote": 2}
    undisturbed = train(make_job(**options))
    job = make_job(**options)
    job.checkpoints = InSecond(folder, "work", run="run-1", kills={7})
    with pytest.raises(Killed):
        train(job)
    assert Checkpoints(folder, "work").run_to_continue() == "run-1"
    again = make_job(**options)
    again.checkpoints = InSecond(folder, "work")
    killed = train(again)
    first, second = killed.details["members"]
    assert (first["resumed_at"], second["resumed_at"]) == ([24], [7])
    for name, weights in undisturbed.network.state_dict().items():
        assert torch.equal(weights, killed.network.state_dict()[name])
    assert killed.validation == undisturbed.validation
