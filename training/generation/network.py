"""A language model as the network of a candidate: how likely it takes right answers to be."""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from peft import PeftModel
from safetensors import SafetensorError
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedModel

from lakeloop.base_model import BaseModel
from lakeloop.errors import ArtifactError, ConfigurationError
from lakeloop.inference.engines.torch_generate import load_writer
from lakeloop.tasks.base import Writing
from training.data import NO_TARGET
from training.network import Network, TokenNetwork
from training.probe import alike, require_finite

_FAULTS = (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError)
"""What transformers raises for a folder that it makes nothing of."""


class Writer(Network):
    """A language model; methods find it as `encoder`, and there is no last layer beside its own."""

    def __init__(self, model: PreTrainedModel, writing: Writing) -> None:
        TokenNetwork.__init__(self)
        self.encoder = model
        self.head = cast("nn.Linear", nn.Identity())
        self._start = writing.start
        self._pad = writing.pad

    def forward(  # type: ignore[override]
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Of each row the summed loss of its answer's tokens, in nats, and their number: float32 [rows, 2].

        `targets`, int64 [rows, tokens], are the tokens that follow those of `input_ids`, or of a model that
        reads apart from writing the answers; `NO_TARGET` where none is judged. The model's numbers for all
        tokens that it knows, which are the most memory of a step, are made where some row has a target.
        """
        if self._start is not None:
            given, wanted = self._decoder_inputs(targets, self._start), targets
            asked: dict[str, Any] = {"decoder_input_ids": given}
        else:
            kept = (targets != NO_TARGET).any(dim=0).nonzero()[:, 0]
            wanted = targets[:, kept]
            asked = {"logits_to_keep": kept} if self._keeps_few else {}
        logits = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False, **asked
        ).logits
        if self._start is None and not self._keeps_few:
            logits = logits[:, kept]
        each = cross_entropy(
            logits.float().flatten(0, 1), wanted.flatten(), ignore_index=NO_TARGET, reduction="none"
        ).view(wanted.shape)
        return torch.stack([each.sum(dim=1), (wanted != NO_TARGET).sum(dim=1).float()], dim=1)

    @property
    def _keeps_few(self) -> bool:
        """Whether the model takes the places that its numbers are wanted at."""
        model: Any = self.encoder.get_base_model() if isinstance(self.encoder, PeftModel) else self.encoder
        return "logits_to_keep" in inspect.signature(model.forward).parameters

    def _decoder_inputs(self, targets: torch.Tensor, start: int) -> torch.Tensor:
        given = targets.new_full(targets.shape, start)
        given[:, 1:] = targets[:, :-1]
        return given.masked_fill(given == NO_TARGET, self._pad)


def load_model(base: BaseModel, writing: Writing) -> PreTrainedModel:
    """The language model of `base` in float32, on the CPU, in eval mode.

    Raises:
        ConfigurationError: transformers has no such model for its config, or a weight is missing, no number,
            or of a model that reads what comes after a token.
    """
    encodes = writing.start is not None
    try:
        model, missing = (
            (load_writer(base.folder, encodes=encodes), []) if base.sealed else _published(base, encodes)
        )
    except (*_FAULTS, SafetensorError, ArtifactError) as error:
        raise ConfigurationError(
            "base model cannot be loaded",
            where=f"{base.name} ({base.folder})",
            expected="an encoder with a decoder (T5, BART)" if encodes else "a decoder (Llama, GPT-2)",
            found=str(error).strip().splitlines()[0],
        ) from error
    if missing:
        raise ConfigurationError(
            f"base model lacks {len(missing)} of its weights, the first is {missing[0]}",
            where=f"{base.name} ({base.folder})",
            expected=f"all weights of {type(model).__name__}",
            remedy="name a folder saved from the language model that its config.json describes",
        )
    found = cast("PreTrainedModel", model.eval())
    require_finite(found, base.name)
    if not encodes:
        _require_causal(found, base)
    # The path of this machine would end in the artifact's config and in its digest.
    found.config.name_or_path = base.name
    return found


def _published(base: BaseModel, encodes: bool) -> tuple[Any, list[str]]:
    kind = AutoModelForSeq2SeqLM if encodes else AutoModelForCausalLM
    model, loading = kind.from_pretrained(
        base.folder,
        trust_remote_code=False,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    return model, sorted(loading["missing_keys"])


@torch.inference_mode()
def _require_causal(model: PreTrainedModel, base: BaseModel) -> None:
    """Raises ConfigurationError where a token's numbers depend on the tokens behind it."""
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 5]]) % model.config.vocab_size
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[:, :3]
    if not alike(logits[:1], logits[1:]):
        raise ConfigurationError(
            f"{type(model).__name__} reads the words behind one, too, and so writes none",
            where="train.base_model",
            expected="a decoder (Llama, GPT-2)",
            found=base.name,
        )
