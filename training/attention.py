"""Attention for training: one fused kernel, in float32 on a CPU, without dropout of attention weights.

The usual way costs a third of a training step on a CPU. With dropout there is no fused kernel, so each
weight is drawn, kept and multiplied; and the backward pass of the kernel in bfloat16 takes three times as
long as in float32. Dropout of hidden states stays. Inference needs none of this.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

_NAME = "fused_for_training"
_USUAL = "sdpa"


def fuse_attention(encoder: PreTrainedModel) -> None:
    """Let `encoder` compute attention by one kernel; an encoder without that choice stays as it is."""
    if encoder.config._attn_implementation == _USUAL:  # noqa: SLF001 - there is no other way to ask
        encoder.set_attn_implementation(_NAME)


def restore_attention(encoder: PreTrainedModel) -> None:
    """Let `encoder` compute attention in the usual way again."""
    if encoder.config._attn_implementation == _NAME:  # noqa: SLF001
        encoder.set_attn_implementation(_USUAL)


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,  # noqa: ARG001 - part of the interface, left out on purpose
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Query, key and value are [rows, heads, tokens, size]; the result is [rows, tokens, heads, size]."""
    dtype, device = query.dtype, query.device.type
    if device == "cpu":
        query, key, value = query.float(), key.float(), value.float()
    with _autocast(device):
        output, none = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=0.0, **options
        )
    return output.to(dtype), none


def _autocast(device: str) -> AbstractContextManager[object]:
    """Of attention: bfloat16 where the network around it computes in it, and nowhere else.

    A context that names no type computes in float16 on CUDA, whatever the one around it says.
    """
    around = device != "cpu" and torch.is_autocast_enabled(device)
    return torch.autocast(device, dtype=torch.bfloat16, enabled=around)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
