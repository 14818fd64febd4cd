"""Which weights a gradient method opens, and what it leaves behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lakeloop.base_model import BaseModel
from lakeloop.errors import ConfigurationError
from training.data import load_tokenizer, tokenise
from training.methods.base import Opener
from training.methods.full import Full
from training.methods.lora import Lora
from training.methods.top_layers import TopLayers
from training.network import Network, layers_of, load_encoder


@pytest.mark.parametrize(
    ("opener", "frozen_layers", "trained"),
    [
        (TopLayers(1), 1, {"layer.1"}),
        (TopLayers(2), 0, {"layer.0", "layer.1"}),
        (Full(), 0, {"position_embeddings", "LayerNorm", "layer.0", "layer.1"}),
        (Lora(2), 0, {"lora_A", "lora_B"}),
    ],
    ids=["one layer", "all layers", "full", "lora"],
)
def test_a_method_opens_its_weights(
    base: BaseModel, opener: Opener, frozen_layers: int, trained: set[str]
) -> None:
    network = Network(load_encoder(base, 24), 3)
    opened = opener.open(network)
    assert opened.frozen_layers == frozen_layers
    assert [id(p) for p in opened.parameters] == [id(p) for p in network.parameters() if p.requires_grad]
    names = [name for name, p in network.encoder.named_parameters() if p.requires_grad]
    for part in trained:
        assert any(part in name for name in names)
    assert not any("word_embeddings" in name for name in names)
    assert all(p.requires_grad for p in network.head.parameters())
    if not isinstance(opener, Full):
        assert all(any(part in name for part in trained) for name in names)


@pytest.mark.parametrize(("layers", "modes"), [(1, [False, True]), (2, [True, True])])
def test_layers_below_the_trained_ones_see_no_dropout(
    base: BaseModel, layers: int, modes: list[bool]
) -> None:
    network = Network(load_encoder(base, 24), 3)
    TopLayers(layers).open(network).train_mode(network)
    assert [layer.training for layer in layers_of(network.encoder)] == modes
    assert network.encoder.get_submodule("embeddings").training == (layers == 2)
    assert network.training


def test_more_top_layers_than_there_are_is_a_configuration_error(base: BaseModel) -> None:
    with pytest.raises(ConfigurationError) as raised:
        TopLayers(3).open(Network(load_encoder(base, 24), 3))
    assert (raised.value.where, raised.value.expected) == ("train.method.layers", "at most 2")


def test_merged_adapters_compute_what_the_adapters_computed(base: BaseModel) -> None:
    network = Network(load_encoder(base, 24), 3)
    plain = set(network.state_dict())
    opener = Lora(8)
    opener.open(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    tokens = tokenise(load_tokenizer(base.tokenizer, 24), ["the goal of the team", "chip"])
    batch = tokens.batch(np.arange(2))
    with torch.inference_mode():
        before = network.eval()(batch.input_ids, batch.attention_mask)
        opener.close(network)
        after = network.eval()(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)
    assert set(network.state_dict()) == plain
    assert len(layers_of(network.encoder)) == 2
