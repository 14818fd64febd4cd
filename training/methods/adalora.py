"""Low-rank adapters that lose rank where it matters least (AdaLoRA, Zhang et al. 2023); merged afterwards."""

from __future__ import annotations

from typing import Any, cast

import torch
from peft import AdaLoraConfig, AdaLoraModel

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method, Opened, trainable
from training.methods.merged import ALL, Merged, put_into
from training.network import Network

UNTIL, FROM = 0.1, 0.7
"""Shares of the steps after which rank is first taken away, and after which no more is."""
ORTHOGONAL = 0.5
"""Weight of the penalty that keeps the directions of an adapter apart: without, no rank is worth its own."""
_MEANS = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""What the library remembers of the steps before, by weight."""
_UNKNOWN = 1 << 30
"""Stands for the number of steps, which the library wants to know too early."""


def adalora(section: spec.AdaLora) -> Method:
    return Gradient(AdaLora(section.rank, section.rank + section.spare))


class AdaLora(Merged):
    """Opens the adapters, and the head."""

    def __init__(self, rank: int, first_rank: int) -> None:
        super().__init__(
            AdaLoraConfig(
                target_r=rank,
                init_r=first_rank,
                lora_alpha=2 * first_rank,
                target_modules=ALL,
                total_step=_UNKNOWN,
            )
        )

    def open(self, network: Network) -> Opened:
        adapters = cast("AdaLoraModel", put_into(network, self.config).base_model)
        return Opened(trainable(network), beside=Ranks(adapters))


class Ranks:
    """Takes rank away while the adapters are trained."""

    def __init__(self, adapters: AdaLoraModel) -> None:
        self._adapters = adapters
        self._config = cast("AdaLoraConfig", adapters.peft_config[adapters.trainable_adapter_name])
        self._weights = {n: weight for n, weight in adapters.named_parameters() if ".lora_" in n}

    def before(self, step: int, steps: int) -> None:  # noqa: ARG002
        """Add the gradient of the penalty to what there is."""
        self._config.total_step = steps
        self._config.tinit, self._config.tfinal = int(UNTIL * steps), steps - max(1, int(FROM * steps))
        apart = [_penalty(w if "lora_A" in n else w.T) for n, w in self._weights.items() if "lora_E" not in n]
        (ORTHOGONAL * torch.stack(apart).mean()).backward()  # type: ignore[no-untyped-call]
        for weight in self._weights.values():
            if weight.grad is None:  # of a layer that the encoder has and does not use
                weight.grad = torch.zeros_like(weight)

    def after(self, step: int) -> None:
        """Take rank away, by what the gradients say of it."""
        self._adapters.update_and_allocate(step)

    def state_dict(self) -> dict[str, Any]:
        allocator = self._adapters.rankallocator
        return {"ranks": self._config.rank_pattern, **{name: dict(vars(allocator)[name]) for name in _MEANS}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        allocator = self._adapters.rankallocator
        self._config.rank_pattern = state["ranks"]
        device = next(iter(self._weights.values())).device
        for name in _MEANS:
            setattr(allocator, name, {key: mean.to(device) for key, mean in state[name].items()})


def _penalty(directions: torch.Tensor) -> torch.Tensor:
    """How far `directions` [rank, values] are from being apart and of length one."""
    found = directions @ directions.T
    apart: torch.Tensor = torch.linalg.matrix_norm(found - torch.eye(len(found), device=found.device))
    return apart
