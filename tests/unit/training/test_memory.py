"""A batch that does not fit into memory goes in passes: the same step, and it is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lakeloop.base_model import BaseModel
from lakeloop.errors import ConfigurationError
from training import gradient, memory
from training.device import is_out_of_memory, open_device
from training.job import Job
from training.memory import Need, Passes, free_bytes, need_of, texts_of_a_pass
from training.methods.base import Opened
from training.network import Network, load_encoder
from training.train import train

MakeJob = Callable[..., Job]
GB = 10**9


def test_what_a_step_takes_grows_with_what_is_trained_and_with_the_texts(base: BaseModel) -> None:
    network, device = Network(load_encoder(base, 24), 3), replace(open_device(1), bf16=False)
    opened = Opened(tuple(network.parameters()))
    few = need_of(network, Opened(tuple(network.head.parameters()), frozen_layers=1), 24, device)
    all_weights = need_of(network, opened, 24, device)
    assert all_weights.fixed == 16 * sum(weight.numel() for weight in network.parameters())
    assert 0 < few.fixed < all_weights.fixed / 100
    assert few.a_text == all_weights.a_text / 2, "one layer of two"
    assert need_of(network, opened, 24, replace(device, bf16=True)).a_text == all_weights.a_text / 2
    assert need_of(network, opened, 12, device).a_text == all_weights.a_text / 2
    network.encoder.set_attn_implementation("eager")
    assert need_of(network, opened, 24, device).a_text > all_weights.a_text, "attention of each pair is kept"


@pytest.mark.parametrize(
    ("free", "texts"), [(100 * GB, 32), (20 * GB, 16), (10 * GB, 8), (3 * GB, 1), (2 * GB, 1)]
)
def test_a_batch_is_halved_until_it_fits_and_that_is_said(
    free: int, texts: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert texts_of_a_pass(32, Need(fixed=GB, a_text=GB), free) == texts
    assert (f"it goes in passes of {texts}, and their" in caplog.text) == (texts < 32)


def test_an_optimiser_that_does_not_fit_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError, match="not enough memory") as raised:
        texts_of_a_pass(32, Need(fixed=3 * GB, a_text=1), 2 * GB)
    assert (raised.value.expected[:6], raised.value.found) == ("3.0 GB", "2.0 GB free")


def test_the_limit_of_a_control_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = replace(open_device(1), target=torch.device("cpu"))
    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(memory, "_CGROUPS", ((str(limit), str(used)),))
    whole = free_bytes(device)
    used.write_text("1000\n")
    for said in ("max\n", None):
        if said:
            limit.write_text(said)
        assert free_bytes(device) > whole / 2
    limit.write_text("5000\n")
    assert free_bytes(device) == 4000


def test_a_training_in_passes_learns_and_its_record_says_so(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient, "free_bytes", lambda _device: 700_000)
    details = train(make_job("full")).details
    assert 1 <= details["texts_of_a_pass"] < 8
    assert details["epochs"][-1]["loss"] < details["epochs"][0]["loss"]


def test_gradients_of_passes_are_those_of_the_batch(base: BaseModel) -> None:
    network = Network(load_encoder(base, 24), 3).eval()
    ids = torch.arange(4, 4 + 7 * 9).reshape(7, 9) % 20 + 4
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 0])

    def backward(rows: NDArray[np.int64], share: float) -> torch.Tensor:
        outputs = network(ids[rows], torch.ones_like(ids[rows]))
        loss: torch.Tensor = torch.nn.functional.cross_entropy(outputs, targets[rows]) * share
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    found = []
    for texts in (7, 3, 1):
        network.zero_grad()
        loss = Passes(texts).run(np.arange(7), backward, network.zero_grad)
        found.append([loss, *(p.grad for p in network.parameters() if p.grad is not None)])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("[enforce] can't allocate memory: 9")]
)
def test_out_of_memory_halves_the_pass_twice_at_most(
    error: RuntimeError, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_out_of_memory(error)
    seen: list[int] = []
    forgotten: list[int] = []

    def backward(rows: NDArray[np.int64], share: float) -> torch.Tensor:
        seen.append(len(rows))
        if len(rows) > most:
            raise error
        return torch.tensor(share)

    most, passes = 4, Passes(16)
    for _ in range(2):
        assert passes.run(np.arange(16), backward, lambda: forgotten.append(1)).item() == 1.0
    assert (seen, len(forgotten), passes.texts) == ([16, 8, 4, 4, 4, 4, 4, 4, 4, 4], 2, 4)
    assert "passes of 8 texts" in caplog.text
    most = 2
    with pytest.raises(RuntimeError):
        passes.run(np.arange(16), backward, forgotten.clear)


def test_a_validation_goes_on_with_fewer_texts_at_once_and_the_next_begins_so(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A device with room for 8 texts where nothing is learnt; the scores are the same but for rounding."""
    undisturbed = train(make_job("full", epochs=2)).validation
    whole, refused = Network.forward, 0

    def forward(self: Network, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        nonlocal refused
        if torch.is_inference_mode_enabled() and len(ids) > most:
            refused += 1
            raise torch.OutOfMemoryError("CUDA")
        return whole(self, ids, mask)

    monkeypatch.setattr(Network, "forward", forward)
    most = 8
    found = train(make_job("full", epochs=2)).validation
    assert found.named == pytest.approx(undisturbed.named, abs=1e-5)
    assert refused == 2, "24 and 12 in the first epoch, none in the second"
    said = "the device has no memory left: batches in validation go in passes of 6 texts from here on"
    assert said in caplog.text
    most = 4
    with pytest.raises(torch.OutOfMemoryError):
        train(make_job("full", epochs=2))


def test_another_error_is_not_tried_again() -> None:
    def backward(rows: NDArray[np.int64], share: float) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    passes = Passes(16)
    with pytest.raises(RuntimeError, match="shapes"):
        passes.run(np.arange(16), backward, lambda: None)
    assert passes.texts == 16
