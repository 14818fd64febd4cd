"""Compiled layers do what layers do: tried on a CPU, by backends that run the same kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from lakeloop.inference.encoders.layers import layers_of
from tests.support.rerun import CAPTURED, FEW_WIDTHS, Rerun
from training import compiled, steps
from training.compiled import compiled_layers, is_long
from training.gradient import Fit
from training.job import Job, Trained
from training.network import Network, load_encoder
from training.plan import ON_A_CPU, Plan
from training.train import train

MakeJob = Callable[..., Job]
COMPILED = replace(FEW_WIDTHS, compiled=True)


@pytest.fixture(autouse=True)
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training is long; nothing of another test is compiled."""
    monkeypatch.setattr(compiled, "WORTH", 0)
    torch._dynamo.reset()


def trained(make_job: MakeJob, plan: Plan, method: Any = "full", **options: Any) -> Trained:
    job = make_job(method, **{"epochs": 2, **options})
    job.device = replace(job.device, plan=plan)
    return train(job)


def require_same(one: Trained, other: Trained) -> None:
    weights, others = one.network.state_dict(), other.network.state_dict()
    assert list(weights) == list(others)
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert {**one.details, "compiled_layers": 0} == {**other.details, "compiled_layers": 0}
    assert one.validation == other.validation
    assert all(module._compiled_call_impl is None for module in other.network.modules())


class Counting:
    """A backend that counts what it compiles."""

    def __init__(self) -> None:
        self.compiled = 0

    def __call__(self, graph: torch.fx.GraphModule, _inputs: Any) -> Callable[..., Any]:
        self.compiled += 1
        return graph.forward


@pytest.mark.parametrize("method", ["full", "lora", {"kind": "top_layers", "layers": 1}], ids=str)
def test_a_training_with_compiled_layers_is_the_same_and_leaves_plain_modules(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    monkeypatch.setattr(compiled, "BACKEND", backend := Counting())
    usual, found = (trained(make_job, plan, method) for plan in (FEW_WIDTHS, COMPILED))
    require_same(usual, found)
    trained_layers = 1 if isinstance(method, dict) else 2
    assert (usual.details["compiled_layers"], found.details["compiled_layers"]) == (0, trained_layers)
    assert backend.compiled > 1


@pytest.mark.slow
def test_backward_passes_that_are_traced_too_are_the_same(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    require_same(trained(make_job, FEW_WIDTHS), trained(make_job, COMPILED))


def test_passes_of_compiled_layers_are_replayed(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "BACKEND", Counting())
    monkeypatch.setattr(steps, "CudaRecorder", Rerun)
    require_same(trained(make_job, FEW_WIDTHS), trained(make_job, replace(CAPTURED, compiled=True)))


def test_all_widths_are_compiled_once(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "BACKEND", backend := Counting())
    shapes: set[torch.Size] = set()
    whole = Fit._loss

    def loss(self: Fit, targets: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
        shapes.add(texts[0].shape)
        return whole(self, targets, *texts)

    monkeypatch.setattr(Fit, "_loss", loss)
    trained(make_job, replace(ON_A_CPU, compiled=True), batch_size=9)
    assert len(shapes) > 8
    assert backend.compiled <= compiled.RECOMPILED


def refuse(_graph: torch.fx.GraphModule, _inputs: Any) -> Any:
    raise RuntimeError("no compiler here")


def test_what_cannot_be_compiled_runs_as_it_is_and_is_said_once(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled, "BACKEND", refuse)
    require_same(trained(make_job, FEW_WIDTHS), trained(make_job, COMPILED))
    said = [line for line in caplog.messages if "layers cannot be compiled" in line]
    assert len(said) == 1
    assert "no compiler here" in said[0]


def test_what_cannot_be_compiled_anew_later_runs_as_it_is(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tiring(Counting):
        def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
            return refuse(graph, inputs) if self.compiled == 2 else super().__call__(graph, inputs)

    monkeypatch.setattr(compiled, "BACKEND", backend := Tiring())
    # The last batch has one text, for which layers are compiled anew.
    options = {"batch_size": 19}
    require_same(trained(make_job, FEW_WIDTHS, **options), trained(make_job, COMPILED, **options))
    assert backend.compiled == 2


def test_neither_a_cpu_nor_a_short_training_compiles(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled, "BACKEND", refuse)
    trained(make_job, ON_A_CPU, epochs=1)
    monkeypatch.setattr(compiled, "WORTH", 1e16)
    trained(make_job, COMPILED, epochs=1)
    assert "compiled" not in caplog.text


def test_how_long_a_training_is_worth_it(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(load_encoder(make_job().base, 24), 3)
    weights = sum(weight.numel() for weight in layers_of(network.encoder).parameters())
    monkeypatch.setattr(compiled, "WORTH", 6 * weights * 1000)
    assert is_long(network, 1000)
    assert not is_long(network, 999)


def test_an_error_in_the_block_leaves_plain_modules_too(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    network = Network(load_encoder(make_job().base, 24), 3)
    layer: nn.Module = layers_of(network.encoder)[0]
    block = compiled_layers(network, lambda: None)
    assert block.__enter__() == 2
    assert layer._compiled_call_impl is not None
    assert not block.__exit__(ValueError, ValueError("in the block"), None)
    assert layer._compiled_call_impl is None
