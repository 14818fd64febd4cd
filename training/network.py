"""The network that every candidate is: encoder, mean over the tokens, one linear layer.

Methods differ in which of these weights they move, tasks in what the last layer gives and how it is judged;
the shape is one, so that everything after training treats all candidates alike.
"""

from __future__ import annotations

from typing import cast

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from lakeloop.base_model import BaseModel
from lakeloop.errors import ConfigurationError


class Network(nn.Module):
    """Token ids and mask, int64 [rows, tokens] -> outputs, float32 [rows, width]."""

    def __init__(self, encoder: PreTrainedModel, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, width)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.embed(input_ids, attention_mask))
        return outputs.float()

    def embed(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Mean of the last hidden states over the text's own tokens, float32 [rows, hidden]."""
        hidden: torch.Tensor
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # Summed in float32: bfloat16 has 8 bits of mantissa, too few for a sum of hundreds.
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        return (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)


def load_encoder(base: BaseModel, max_tokens: int) -> PreTrainedModel:
    """The pretrained encoder in float32, on the CPU, in eval mode.

    Raises:
        ConfigurationError: transformers does not know it, or texts of `max_tokens` do not fit into it.
    """
    try:
        config = AutoConfig.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True)
        encoder, loading = AutoModel.from_pretrained(
            base.folder,
            config=config,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ConfigurationError(
            "base model cannot be loaded",
            where=f"{base.name} ({base.folder})",
            found=str(error).splitlines()[0],
        ) from error
    if getattr(encoder, "pooler", None) is not None:
        # Its output is not used here, and many published models leave its weights out.
        encoder.pooler = None
    if missing := sorted(key for key in loading["missing_keys"] if not key.startswith("pooler.")):
        raise ConfigurationError(
            f"base model lacks {len(missing)} of its weights, the first is {missing[0]}",
            where=f"{base.name} ({base.folder})",
            expected=f"all weights of {type(encoder).__name__}",
            remedy="name a folder saved from the encoder that its config.json describes",
        )
    limit = getattr(encoder.config, "max_position_embeddings", max_tokens)
    if max_tokens > limit:
        raise ConfigurationError(
            "base model cannot read texts that long",
            where="train.max_tokens",
            expected=f"at most {limit}",
            found=str(max_tokens),
        )
    _require_reads(encoder.eval(), max_tokens)
    # The path of this machine would end in the artifact's config and in its digest.
    encoder.config.name_or_path = base.name
    return cast("PreTrainedModel", encoder)


def _require_reads(encoder: PreTrainedModel, max_tokens: int) -> None:
    # Some encoders (RoBERTa) keep a few of their positions for themselves, and no name in a config says so.
    token = 1 if getattr(encoder.config, "pad_token_id", None) == 0 else 0  # padding takes no position there
    row = torch.full((1, max_tokens), token)
    try:
        with torch.inference_mode():
            encoder(input_ids=row, attention_mask=torch.ones_like(row))
    except (IndexError, RuntimeError) as error:
        raise ConfigurationError(
            "base model cannot read texts that long",
            where="train.max_tokens",
            expected=f"fewer tokens: {type(encoder).__name__} does not have all its positions for texts",
            found=f"{max_tokens} ({str(error).splitlines()[0]})",
        ) from error


def layers_of(encoder: PreTrainedModel) -> nn.ModuleList:
    """The encoder's stack of layers, input side first.

    Raises:
        ConfigurationError: there is no single such stack.
    """
    depth = encoder.config.num_hidden_layers
    stacks = [m for m in encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    if len(stacks) != 1:
        raise ConfigurationError(
            f"{type(encoder).__name__} has no single stack of {depth} layers",
            where="train.base_model",
            remedy="train it with method lora or full",
        )
    return stacks[0]
