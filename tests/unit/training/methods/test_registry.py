"""Methods are found by the kind of their section; one more is a class, a file and a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import pytest
import torch

from lakeloop.errors import ConfigurationError
from lakeloop.spec.base import WEIGHTS
from lakeloop.spec.methods import METHODS as SECTIONS
from lakeloop.spec.methods import GradientMethod, kind_of
from lakeloop.spec.origins import origins_of
from lakeloop.spec.tasks import Task
from lakeloop.spec.train import Candidate
from tests.support.training_jobs import CLASSES, NUMBERS
from training.gradient import Gradient
from training.job import Job
from training.methods.base import Method, Opened, trainable
from training.methods.registry import METHODS, method_of
from training.network import Network, load_encoder
from training.train import train


class BiasOnly(GradientMethod):
    """A section as `spec.methods` would have it."""

    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-2}

    kind: Annotated[Literal["bias_only"], WEIGHTS] = "bias_only"


class _BiasOnly:
    """An opener as a file of `training.methods` would have it."""

    def open(self, network: Network) -> Opened:
        network.encoder.requires_grad_(False)
        for name, parameter in network.encoder.named_parameters():
            parameter.requires_grad_(name.endswith("bias"))
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        """Nothing was added."""


def bias_only(_section: BiasOnly) -> Method:
    return Gradient(_BiasOnly())


def test_every_section_has_its_method() -> None:
    assert set(METHODS) == {kind_of(section) for section in SECTIONS}
    for section in SECTIONS:
        assert hasattr(method_of(section(kind=kind_of(section))), "train")  # type: ignore[call-arg]


def test_a_section_without_code_names_the_methods_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no such method") as raised:
        method_of(BiasOnly())
    assert "top_layers" in raised.value.expected


@pytest.mark.parametrize("task", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_one_more_method_needs_a_class_a_file_and_a_line(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, task: Task
) -> None:
    monkeypatch.setitem(METHODS, "bias_only", f"{__name__}:bias_only")
    job = make_job("full", task=task, learning_rate=None, epochs=6, patience=6)
    before = load_encoder(job.base, job.config.train.max_tokens).state_dict()
    candidate = Candidate.model_construct(name="biases", method=BiasOnly())
    job.config = job.config.model_copy(
        update={"candidate": candidate, "origins": origins_of(job.config.train, candidate, {})}
    )
    assert job.settings["learning_rate"] == 1e-2
    trained = train(job)
    losses = [epoch["loss"] for epoch in trained.details["epochs"]]
    assert losses[-1] < losses[0]
    moved = {
        name
        for name, value in trained.network.encoder.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved
    assert all(name.endswith("bias") for name in moved)
