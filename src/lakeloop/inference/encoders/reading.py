"""What an encoder makes of texts: hidden states of their tokens, and their mean."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from lakeloop.inference.encoders.parts import before_texts

_FLOAT_MASK = frozenset(["xlnet"])
"""Architectures that reckon with the mask in a way that torch.onnx takes for floats only."""


def embedding(encoder: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of the last hidden states over the text's own tokens, float32 [rows, hidden]."""
    hidden = hidden_states(encoder, ids, mask)
    # Summed in float32: bfloat16 has 8 bits of mantissa, too few for a sum of hundreds.
    own = mask.unsqueeze(-1).to(torch.float32)
    return (hidden.float() * own).sum(dim=1) / own.sum(dim=1).clamp(min=1.0)


def hidden_states(encoder: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The last hidden state of each token, [rows, tokens, hidden]."""
    given = mask.float() if encoder.config.model_type in _FLOAT_MASK else mask
    hidden: torch.Tensor = read(encoder, ids, given).last_hidden_state
    return hidden


def read(encoder: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> Any:
    """What `encoder` gives for texts: hidden states of their tokens, none of the vectors before them."""
    before = before_texts(encoder)
    if before is None:
        return encoder(input_ids=ids, attention_mask=mask)
    words = encoder.get_input_embeddings()(ids)
    rows = ids.shape[0]  # `len` is a number when this is exported, and the graph is for so many texts only
    vectors = before().to(words.dtype).expand(rows, -1, -1)
    outputs = encoder(
        inputs_embeds=torch.cat([vectors, words], dim=1),
        attention_mask=torch.cat([mask.new_ones(rows, before.count), mask], dim=1),
    )
    outputs.last_hidden_state = outputs.last_hidden_state[:, before.count :]
    return outputs
