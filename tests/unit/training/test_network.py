from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import RobertaConfig, RobertaModel

from lakeloop.base_model import BaseModel
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.layers import layers_of
from tests.support.tiny_bert import MAX_POSITIONS, make_rows
from training.data import Tokens, load_tokenizer, tokenise
from training.network import Network, load_encoder


@pytest.fixture
def tokens(base: BaseModel) -> Tokens:
    return tokenise(load_tokenizer(base.tokenizer, 24), make_rows(12, seed=5)["text"].to_pylist())


@pytest.fixture
def network(base: BaseModel) -> Iterator[Network]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield Network(load_encoder(base, 24), 3).eval()


def test_padding_changes_no_output(network: Network, tokens: Tokens) -> None:
    together = tokens.batch(np.arange(12))
    outputs = network(together.input_ids, together.attention_mask)
    assert outputs.dtype == torch.float32
    for row in range(12):
        alone = tokens.batch(np.array([row]))
        torch.testing.assert_close(
            network(alone.input_ids, alone.attention_mask)[0], outputs[row], atol=1e-5, rtol=0
        )


def test_the_mean_is_over_the_own_tokens_of_a_text(network: Network, tokens: Tokens) -> None:
    batch = tokens.batch(np.arange(2))
    hidden = network.encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    own = torch.stack([hidden[row, : len(tokens.ids[row])].mean(dim=0) for row in range(2)])
    torch.testing.assert_close(network.embed(batch.input_ids, batch.attention_mask), own)

    noise = torch.where(batch.attention_mask == 1, batch.input_ids, torch.full_like(batch.input_ids, 7))
    torch.testing.assert_close(
        network.embed(noise, batch.attention_mask), network.embed(batch.input_ids, batch.attention_mask)
    )


def test_the_config_does_not_say_where_the_model_lay(base: BaseModel) -> None:
    assert str(base.folder) not in load_encoder(base, 24).config.to_json_string(use_diff=False)


def test_texts_longer_than_the_model_reads_are_refused(base: BaseModel) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_encoder(base, MAX_POSITIONS + 1)
    assert raised.value.expected == f"at most {MAX_POSITIONS}"


def test_positions_that_an_encoder_keeps_for_itself_are_not_for_texts(
    base: BaseModel, tmp_path: Path
) -> None:
    config = RobertaConfig(
        vocab_size=30,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_POSITIONS,
        pad_token_id=1,
    )
    RobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    roberta = replace(base, folder=tmp_path)

    assert load_encoder(roberta, MAX_POSITIONS - 2) is not None
    for too_many in (MAX_POSITIONS - 1, MAX_POSITIONS):
        with pytest.raises(ConfigurationError, match="cannot read texts that long") as raised:
            load_encoder(roberta, too_many)
        assert raised.value.where == "train.max_tokens"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "config.json").write_text('{"model_type": "unheard-of"}'),
        lambda folder: (folder / "model.safetensors").write_bytes(b"torn"),
        lambda folder: save_file(
            {"embeddings.LayerNorm.bias": torch.zeros(32)}, folder / "model.safetensors"
        ),
        lambda folder: save_file({"embeddings.LayerNorm.bias": torch.zeros(7)}, folder / "model.safetensors"),
    ],
    ids=["architecture", "torn weights", "missing weights", "weights of another shape"],
)
def test_a_base_model_that_cannot_be_loaded_whole_is_refused(
    base: BaseModel, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    folder = shutil.copytree(base.folder, tmp_path / "model")
    spoil(folder)
    with pytest.raises(ConfigurationError, match="base model"):
        load_encoder(replace(base, folder=folder), 24)


def test_the_pooler_that_nobody_uses_is_not_there(network: Network) -> None:
    assert not any("pooler" in name for name in network.state_dict())


def test_the_stack_of_layers_is_found(base: BaseModel) -> None:
    assert len(layers_of(load_encoder(base, 24))) == 2
