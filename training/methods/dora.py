"""Low-rank adapters and a length for each output (DoRA, Liu et al. 2024); merged into the weights."""

from __future__ import annotations

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method
from training.methods.lora import adapters
from training.methods.merged import Merged


def dora(section: spec.Dora) -> Method:
    config = adapters(section)
    config.use_dora = True
    return Gradient(Merged(config))
