"""Inputs of linear layers are turned in blocks (OFT, Qiu et al. 2023); merged into the weights afterwards."""

from __future__ import annotations

from peft import OFTConfig

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method
from training.methods.merged import ALL, Merged


def oft(section: spec.Oft) -> Method:
    return Gradient(Merged(OFTConfig(r=0, oft_block_size=section.block, target_modules=ALL)))
