"""The network that every candidate is: encoder, mean over the tokens, one linear layer.

Methods differ in which of these weights they move, tasks in what the last layer gives and how it is judged;
the shape is one, so that everything after training treats all candidates alike. What some methods add lies in
the encoder (`lakeloop.inference.encoders.parts`).
"""

from __future__ import annotations

from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from lakeloop.base_model import BaseModel
from lakeloop.bases.files import WEIGHTS, read_json
from lakeloop.bases.fit import without_vectors
from lakeloop.bases.vocabulary import read_vocabulary
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.reading import embedding, hidden_states
from lakeloop.inference.encoders.sealed import encoder_of, sealed
from training.probe import (
    keep_nothing,
    require_finite,
    require_own_answers,
    require_reads,
)


class TokenNetwork(nn.Module):
    """Token ids and mask, int64 [rows, tokens] -> outputs, float32 [rows, width].

    A network that reads `features` has a third input, float32 [rows, features].
    """

    head: nn.Module
    """Makes the outputs of what `embed` gives."""
    features: int = 0
    """Numbers that are read beside each text."""

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.embed(input_ids, attention_mask, features))
        return outputs.float()

    def embed(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What is known of each row, float32 [rows, hidden + features]."""
        text = self.read(input_ids, attention_mask)
        return text if features is None else torch.cat([text, features], dim=1)

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """What is known of each text, float32 [rows, hidden]."""
        raise NotImplementedError


class Network(TokenNetwork):
    """The usual one: an encoder, and a linear layer on the mean of what it gives for a text's tokens."""

    head: nn.Linear

    def __init__(self, encoder: PreTrainedModel, width: int, features: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.features = features
        self.head = nn.Linear(encoder.config.hidden_size + features, width)

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Mean of the last hidden states over the text's own tokens, float32 [rows, hidden]."""
        return embedding(self.encoder, input_ids, attention_mask)


class TaggingNetwork(Network):
    """An encoder, and a linear layer on each token's state: outputs float32 [rows, tokens, width]."""

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The last hidden state of each token, float32 [rows, tokens, hidden]."""
        return hidden_states(self.encoder, input_ids, attention_mask).float()


def load_encoder(base: BaseModel, max_tokens: int) -> PreTrainedModel:
    """The pretrained encoder in float32, on the CPU, in eval mode, without a decoder that comes with it.

    Raises:
        ConfigurationError: transformers does not know it, a weight of it is missing or no number, it gives
            no answers that are a text's own, or texts of `max_tokens` do not fit into it.
    """
    where = f"{base.name} ({base.folder})"
    try:
        model, missing = sealed(base.config, base.folder / WEIGHTS) if base.sealed else _published(base)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise ConfigurationError(
            "base model cannot be loaded", where=where, found=str(error).strip().splitlines()[0]
        ) from error
    encoder = encoder_of(model)
    used = {id(weight) for weight in encoder.parameters()}
    if lacking := sorted(name for name, weight in missing.items() if id(weight) in used):
        raise ConfigurationError(
            f"base model lacks {len(lacking)} of its weights, the first is {lacking[0]}",
            where=where,
            expected=f"all weights of {type(encoder).__name__}",
            remedy="name a folder saved from the encoder that its config.json describes",
        )
    encoder.eval()
    require_finite(encoder, base.name)
    require_reads(encoder, max_tokens, base.name)
    _require_vectors(encoder, base)
    keep_nothing(encoder)
    require_own_answers(encoder, base.name)
    # The path of this machine would end in the artifact's config and in its digest.
    encoder.config.name_or_path = base.name
    return encoder


def _published(base: BaseModel) -> tuple[Any, dict[str, torch.Tensor]]:
    """The model of a folder, and by name the weights of it that the folder does not have."""
    config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True)
    model, loading = AutoModel.from_pretrained(
        base.folder,
        config=config,
        trust_remote_code=False,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    weights = dict(model.named_parameters(remove_duplicate=False))
    return model, {name: weights[name] for name in loading["missing_keys"] if name in weights}


def _require_vectors(encoder: PreTrainedModel, base: BaseModel) -> None:
    """As `bases.fit` does, where config.json leaves open how many word vectors there are."""
    vectors = encoder.config.vocab_size
    if "vocab_size" in read_json(base.config):
        return
    if beyond := read_vocabulary(base.tokenizer).above(vectors):
        raise without_vectors(beyond, vectors, base.name)
