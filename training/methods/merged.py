"""What methods share that put adapters of a library (peft) into an encoder and merge them in the end."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lakeloop.errors import ConfigurationError
from training.methods.base import Opened, trainable
from training.network import Network

ALL = "all-linear"
"""What peft calls all linear layers."""


@dataclass(frozen=True)
class Merged:
    """Opens the adapters of `config`, and the head."""

    config: PeftConfig

    def open(self, network: Network) -> Opened:
        put_into(network, self.config)
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        if isinstance(network.encoder, PeftModel):
            network.encoder = cast("PreTrainedModel", network.encoder.merge_and_unload())


def put_into(network: Network, config: PeftConfig) -> PeftModel:
    """Wrap the encoder, nothing of which is trained but the new adapters; returns the wrapped one.

    Raises:
        ConfigurationError: its layers cannot have them, or none has a name that `config` asks for.
    """
    network.encoder.requires_grad_(False)
    own = deepcopy(config)  # the library writes into it what it found
    if hasattr(own, "fan_in_fan_out"):
        # GPT-2's layers keep their weights turned.
        own.fan_in_fan_out = any(isinstance(module, Conv1D) for module in network.encoder.modules())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on what it adjusts of `config` to a layer
            wrapped = get_peft_model(network.encoder, own)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            "the base model has no linear layers that these adapters fit",
            where="train.method",
            expected=f"names of layers as in {_a_name(network)}",
            found=str(error).splitlines()[0][:200],
            remedy="say other targets, or train it by method full",
        ) from error
    network.encoder = cast("PreTrainedModel", wrapped)
    return cast("PeftModel", wrapped)


def _a_name(network: Network) -> str:
    kinds = (nn.Linear, Conv1D)
    names = (name for name, module in network.encoder.named_modules() if isinstance(module, kinds))
    return next(names, "no layer at all")
