"""How the learning rate goes over a training."""

from __future__ import annotations

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from transformers import get_scheduler

WARM_UP = 0.1
"""The usual share of the steps in which the learning rate rises."""


def schedule_of(name: str, optimiser: torch.optim.Optimizer, steps: int, warmup: float) -> LRScheduler:
    """The schedule called `name` over `steps` steps; in the first `warmup` of them, a share, the rate rises.

    All but `linear` are those of transformers, which begin at zero.
    """
    if name == "linear":
        return linear_schedule(optimiser, steps, warmup)
    rise = round(warmup * steps)
    name = "constant_with_warmup" if name == "constant" else name
    schedule: LRScheduler = get_scheduler(
        name, optimiser, num_warmup_steps=rise, num_training_steps=max(steps, rise + 1)
    )
    return schedule


def linear_schedule(optimiser: torch.optim.Optimizer, steps: int, warmup: float = WARM_UP) -> LambdaLR:
    """A rate that rises from nearly zero in the first `warmup` of `steps`, then falls to zero: two lines."""
    rise = max(1, round(warmup * steps))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))

    return LambdaLR(optimiser, factor)
