"""Low-rank adapters (LoRA, Hu et al. 2021) on all linear layers; merged into the weights afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method, Opened, trainable
from training.network import Network


def lora(section: spec.Lora) -> Method:
    return Gradient(Lora(section.rank))


@dataclass(frozen=True)
class Lora:
    """Opens adapters of this rank, and the head."""

    rank: int

    def open(self, network: Network) -> Opened:
        network.encoder.requires_grad_(False)
        adapters = LoraConfig(
            r=self.rank, lora_alpha=2 * self.rank, lora_dropout=0.05, target_modules="all-linear"
        )
        network.encoder = cast("PreTrainedModel", get_peft_model(network.encoder, adapters))
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        if isinstance(network.encoder, PeftModel):
            network.encoder = cast("PreTrainedModel", network.encoder.merge_and_unload())
