"""What an encoder must do before anything is trained with it: tried on a few tokens, not guessed.

Each of these fails hours later else, or never: answers that depend on the texts beside are found by nobody.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedModel

from lakeloop.bases.files import WHERE
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.reading import embedding, read
from training.device import Device, give_up_repeating

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""How far embeddings that are the same but for rounding are apart, at most, to their largest number."""
_SHORT, _LONG = 5, 12
"""Tokens of two texts that differ in length."""
_FAULTS = (RuntimeError, IndexError, TypeError, ValueError, AttributeError, KeyError, NotImplementedError)
"""What code of an encoder raises on input that it was not made for."""


@torch.inference_mode()
def require_finite(encoder: PreTrainedModel, name: str) -> None:
    """Raises ConfigurationError where weights are NaN or infinite: one such number spoils every answer."""
    wrong = [key for key, weight in encoder.named_parameters() if not torch.isfinite(weight).all()]
    if wrong:
        raise ConfigurationError(
            f"{len(wrong)} of the weights of the base model are not finite, the first is {wrong[0]}",
            where=WHERE,
            expected="finite numbers",
            found=name,
            remedy="fetch it again; a model that was saved while it diverged is spoilt",
        )


def require_reads(encoder: PreTrainedModel, max_tokens: int, name: str) -> None:
    """Have `encoder` read `max_tokens` tokens.

    Raises:
        ConfigurationError: it gives no hidden state for each token, or cannot read so many; says how many it
            can.
    """
    kind = type(encoder).__name__
    try:
        shape = _read(encoder, min(max_tokens, _SHORT))
    except _FAULTS as error:
        raise ConfigurationError(
            f"{kind} reads no texts",
            where=WHERE,
            expected="an encoder of token ids that gives a hidden state for each",
            found=f"{name} ({_first_line(error)})",
        ) from error
    wanted = (1, min(max_tokens, _SHORT), getattr(encoder.config, "hidden_size", 0))
    if shape != wanted or not hasattr(encoder.config, "vocab_size"):
        raise ConfigurationError(
            f"{kind} gives no hidden state for each token",
            where=WHERE,
            expected=f"hidden states of shape {wanted}",
            found=f"{name}: {shape}",
        )
    limit = getattr(encoder.config, "max_position_embeddings", None) or max_tokens
    fault = f"its config says {limit}" if 0 < limit < max_tokens else _fault(encoder, max_tokens)
    if fault:
        highest = min(max_tokens - 1, limit) if limit > 0 else max_tokens - 1
        raise ConfigurationError(
            "base model cannot read texts that long",
            where="train.max_tokens",
            expected=f"at most {_most(encoder, highest)}",
            found=f"{max_tokens} ({kind}: {fault})",
        )


def _most(encoder: PreTrainedModel, highest: int) -> int:
    """How many tokens, `highest` at most, `encoder` reads without a fault; it reads `_SHORT`."""
    low, high = _SHORT, highest + 1
    if not _fault(encoder, highest):
        return highest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _fault(encoder, middle) else (middle, high)
    return low


def _fault(encoder: PreTrainedModel, tokens: int) -> str:
    try:
        _read(encoder, tokens)
    except (IndexError, RuntimeError) as error:
        return _first_line(error)
    return ""


@torch.inference_mode()
def _read(encoder: PreTrainedModel, tokens: int) -> tuple[int, ...]:
    """Shape of the hidden states of a text of so many tokens."""
    return tuple(_outputs(encoder, tokens).last_hidden_state.shape)


def _outputs(encoder: PreTrainedModel, tokens: int) -> Any:
    # Where padding is 0 it takes no position: some encoders (RoBERTa) count the others only.
    row = torch.full((1, tokens), 1 if getattr(encoder.config, "pad_token_id", None) == 0 else 0)
    return read(encoder, row, torch.ones_like(row))


def keep_nothing(encoder: PreTrainedModel) -> None:
    """Switch off what an encoder keeps for a text that is being written, where it does."""
    with torch.inference_mode():
        outputs = _outputs(encoder, _SHORT)
    for kept, setting in (("past_key_values", "use_cache"), ("mems", "use_mems_eval")):
        if getattr(outputs, kept, None) is not None:
            setattr(encoder.config, setting, False)


def require_own_answers(encoder: PreTrainedModel, name: str) -> None:
    """Raises ConfigurationError where what is made of a text depends on the texts beside it in a batch."""
    ids, mask = _two_texts(encoder)
    with torch.inference_mode():
        alone = embedding(encoder, ids[:1, :_SHORT], mask[:1, :_SHORT])
        beside = embedding(encoder, ids, mask)[:1]
    if not alike(alone, beside):
        raise ConfigurationError(
            f"{type(encoder).__name__} mixes padding into a text: its answers depend on the texts beside it",
            where=WHERE,
            expected="an encoder that leaves out what its attention mask says",
            found=name,
            remedy="choose a base model of another architecture",
        )


def fitting(device: Device, encoder: PreTrainedModel) -> Device:
    """`device`, computing in float32 where `encoder` cannot be trained in bfloat16."""
    if not device.bf16:
        return device
    ids, mask = (tensor.to(encoder.device) for tensor in _two_texts(encoder))
    found: torch.Tensor | None = None
    why = "numbers that are not finite"
    try:
        with device.autocast():
            found = embedding(encoder, ids, mask)
        if found.requires_grad:
            found.sum().backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        raise
    except _FAULTS as error:
        if give_up_repeating(error):
            return fitting(device, encoder)
        found, why = None, _first_line(error)
    finally:
        encoder.zero_grad(set_to_none=True)
    if found is not None and torch.isfinite(found).all():
        return device
    log.warning("%s does not run in bfloat16 (%s): it runs in float32", type(encoder).__name__, why)
    return replace(device, bf16=False)


def alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are the same but for rounding in float32."""
    if one.shape != other.shape:
        return False
    scale = max(1e-6, float(one.abs().max()))
    return float((one - other).abs().max()) <= TOLERANCE * scale


def _two_texts(encoder: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask of a short text, padded, and a long one: int64 [2, `_LONG`]."""
    padding = getattr(encoder.config, "pad_token_id", None)
    vectors = encoder.config.vocab_size
    known = [token for token in range(min(vectors, 4 * _LONG)) if token != padding]
    ids = torch.tensor([[known[n % len(known)] for n in range(row, row + _LONG)] for row in (0, 3)])
    ids[0, _SHORT:] = padding if padding is not None and 0 <= padding < vectors else known[0]
    mask = torch.ones_like(ids)
    mask[0, _SHORT:] = 0
    return ids, mask


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
