from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.inference.encoders.layers import layers_of
from tests.support.rerun import CAPTURED, Rerun
from tests.support.tiny_bert import make_base_model, make_rows
from training import frozen, steps
from training.data import Tokens, load_tokenizer, tokenise
from training.device import Device, open_device
from training.frozen import FrozenLayers, worth_keeping
from training.network import Network, load_encoder

LAYERS = 4


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return find_base_model("deep", make_base_model(tmp_path_factory.mktemp("deep"), layers=LAYERS))


@pytest.fixture
def device() -> Device:
    return replace(open_device(1), bf16=False)


@pytest.fixture
def tokens(deep: BaseModel) -> Tokens:
    return tokenise(load_tokenizer(deep.tokenizer, 24), make_rows(40, seed=5)["text"].to_pylist())


@pytest.fixture
def network(deep: BaseModel) -> Network:
    return Network(load_encoder(deep, 24), 3).eval()


@pytest.mark.parametrize("trained", [1, 2, 3])
def test_replayed_layers_give_what_the_whole_network_gives(
    network: Network, tokens: Tokens, device: Device, trained: int
) -> None:
    layers = FrozenLayers(network, LAYERS - trained, tokens, device)
    for rows in (np.array([3, 1, 39]), np.array([7]), np.arange(40)):
        batch = tokens.batch(rows)
        with torch.inference_mode():
            whole = network(batch.input_ids, batch.attention_mask)
            replayed = layers.network(*layers.feed(batch))
        torch.testing.assert_close(replayed, whole, atol=1e-5, rtol=0)


def test_gradients_are_those_of_the_whole_network_on_the_same_weights(
    network: Network, tokens: Tokens, device: Device
) -> None:
    network.encoder.requires_grad_(False)
    layers_of(network.encoder)[-1:].requires_grad_(True)
    layers = FrozenLayers(network, LAYERS - 1, tokens, device)
    batch = tokens.batch(np.arange(8))

    def gradients(outputs: torch.Tensor) -> list[torch.Tensor]:
        network.zero_grad()
        outputs.logsumexp(dim=1).sum().backward()
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    whole = gradients(network(batch.input_ids, batch.attention_mask))
    replayed = gradients(layers.network(*layers.feed(batch)))
    assert len(whole) == len(replayed) > 10
    for one, other in zip(whole, replayed, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)

    shared = {id(p) for p in network.parameters()}
    assert all(id(p) in shared for p in layers.network.parameters())


def test_the_network_is_left_as_it_was(network: Network, tokens: Tokens, device: Device) -> None:
    FrozenLayers(network, 2, tokens, device)
    assert len(layers_of(network.encoder)) == LAYERS
    assert not any(module._forward_hooks for module in network.modules())


def test_too_many_hidden_states_are_not_kept(
    tokens: Tokens, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worth_keeping(tokens, 32, 2, device)
    assert not worth_keeping(tokens, 32, 0, device)
    monkeypatch.setattr(frozen, "LIMIT_BYTES", int(tokens.lengths.sum()) * 32 * 4 - 1)
    assert not worth_keeping(tokens, 32, 2, device)
    assert worth_keeping(tokens, 32, 2, replace(device, bf16=True))


def test_without_memory_the_frozen_layers_go_on_with_fewer_texts_at_once(
    network: Network,
    tokens: Tokens,
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    batch = tokens.batch(np.arange(40))
    layers = FrozenLayers(network, 2, tokens, device)
    usual = layers.network(*layers.feed(batch))
    whole, most = Network.forward, 8

    def forward(self: Network, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA")
        return whole(self, ids, mask)

    monkeypatch.setattr(Network, "forward", forward)
    layers = FrozenLayers(network, 2, tokens, device)
    monkeypatch.undo()
    torch.testing.assert_close(layers.network(*layers.feed(batch)), usual, atol=1e-5, rtol=0)
    assert "batches in frozen layers go in passes of 8 texts from here on" in caplog.text
    assert not any(module._forward_hooks for module in network.modules())


def test_passes_through_the_frozen_layers_that_are_replayed_give_the_same_bits(
    network: Network, tokens: Tokens, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = replace(CAPTURED, texts=4)
    tokens, recorder = replace(tokens, plan=fed, limit=24), Rerun()
    monkeypatch.setattr(steps, "WORTH_RECORDING", 1)
    monkeypatch.setattr(steps, "CudaRecorder", lambda _: recorder)
    batch = tokens.batch(np.arange(40))
    found = [
        FrozenLayers(network, 2, tokens, replace(device, plan=plan)).feed.tensors(batch)[2]
        for plan in (replace(fed, captured=False), fed)
    ]
    assert torch.equal(*found)
    assert 0 < recorder.recorded < recorder.replayed
