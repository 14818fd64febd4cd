"""Low-rank adapters (LoRA, Hu et al. 2021) on linear layers; merged into the weights afterwards."""

from __future__ import annotations

from peft import LoraConfig

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method
from training.methods.merged import ALL, Merged


def lora(section: spec.Lora) -> Method:
    return Gradient(Merged(adapters(section)))


def adapters(section: spec.LowRank) -> LoraConfig:
    """The library's words for a section."""
    return LoraConfig(
        r=section.rank,
        lora_alpha=section.scale * section.rank,
        lora_dropout=section.dropout,
        target_modules=section.targets.split() or ALL,
    )
