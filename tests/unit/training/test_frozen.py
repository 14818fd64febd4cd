from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.tiny_bert import make_base_model, make_rows
from training import frozen
from training.base_model import BaseModel, find_base_model
from training.data import Tokens, load_tokenizer, tokenise
from training.device import Device, open_device
from training.frozen import FrozenLayers, worth_keeping
from training.model import TextClassifier, layers_of, load_encoder

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
def model(deep: BaseModel) -> TextClassifier:
    return TextClassifier(load_encoder(deep, 24), 3).eval()


@pytest.mark.parametrize("trained", [1, 2, 3])
def test_replayed_layers_give_what_the_whole_network_gives(
    model: TextClassifier, tokens: Tokens, device: Device, trained: int
) -> None:
    layers = FrozenLayers(model, LAYERS - trained, tokens, device)
    for rows in (np.array([3, 1, 39]), np.array([7]), np.arange(40)):
        batch = tokens.batch(rows)
        with torch.inference_mode():
            whole = model(batch.input_ids, batch.attention_mask)
            replayed = layers.model(*layers.feed(batch))
        torch.testing.assert_close(replayed, whole, atol=1e-5, rtol=0)


def test_gradients_are_those_of_the_whole_network_on_the_same_weights(
    model: TextClassifier, tokens: Tokens, device: Device
) -> None:
    model.encoder.requires_grad_(False)
    layers_of(model.encoder)[-1:].requires_grad_(True)
    layers = FrozenLayers(model, LAYERS - 1, tokens, device)
    batch = tokens.batch(np.arange(8))

    def gradients(logits: torch.Tensor) -> list[torch.Tensor]:
        model.zero_grad()
        logits.logsumexp(dim=1).sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    whole = gradients(model(batch.input_ids, batch.attention_mask))
    replayed = gradients(layers.model(*layers.feed(batch)))
    assert len(whole) == len(replayed) > 10
    for one, other in zip(whole, replayed, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)

    shared = {id(p) for p in model.parameters()}
    assert all(id(p) in shared for p in layers.model.parameters())


def test_the_network_is_left_as_it_was(model: TextClassifier, tokens: Tokens, device: Device) -> None:
    FrozenLayers(model, 2, tokens, device)
    assert len(layers_of(model.encoder)) == LAYERS
    assert not any(module._forward_hooks for module in model.modules())


def test_too_many_hidden_states_are_not_kept(
    tokens: Tokens, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert worth_keeping(tokens, 32, 2, device)
    assert not worth_keeping(tokens, 32, 0, device)
    monkeypatch.setattr(frozen, "LIMIT_BYTES", int(tokens.lengths.sum()) * 32 * 4 - 1)
    assert not worth_keeping(tokens, 32, 2, device)
    assert worth_keeping(tokens, 32, 2, replace(device, bf16=True))
