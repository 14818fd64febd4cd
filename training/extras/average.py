"""The mean of weights over a training in place of the last ones: over steps (EMA), or over epochs (SWA).

Izmailov et al. (2018), "Averaging Weights Leads to Wider Optima"; the exponential mean as in Polyak and
Juditsky (1992), quicker in the beginning. The mean is validated, and it is what is kept of the best epoch;
the steps go on from the weights themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from lakeloop.spec.extras import EmaAverage, EpochsAverage, Off


class Average(Protocol):
    """A mean of weights, and what has to be remembered for it."""

    def step(self, parameters: Sequence[torch.Tensor]) -> None:
        """After a step, which has moved `parameters`."""

    def of(self, parameters: Sequence[torch.Tensor]) -> Sequence[torch.Tensor] | None:
        """The mean at the end of an epoch, shaped as `parameters`; None: these as they are."""

    def end_epoch(self, parameters: Sequence[torch.Tensor]) -> None:
        """After an epoch, which has left `parameters`."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers: tensors, numbers and lists of them."""

    def load_state_dict(self, state: dict[str, Any], parameters: Sequence[torch.Tensor]) -> None:
        """Remember that instead, where `parameters` are."""


class NoAverage:
    """The usual: the weights as they are."""

    def step(self, parameters: Sequence[torch.Tensor]) -> None:
        pass

    def of(self, parameters: Sequence[torch.Tensor]) -> Sequence[torch.Tensor] | None:  # noqa: ARG002
        return None

    def end_epoch(self, parameters: Sequence[torch.Tensor]) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any], parameters: Sequence[torch.Tensor]) -> None:
        pass


class OverSteps:
    """The exponential mean over the steps."""

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._mean: list[torch.Tensor] = []

    @torch.no_grad()
    def step(self, parameters: Sequence[torch.Tensor]) -> None:
        if not self._mean:
            self._mean = [weights.detach().clone() for weights in parameters]
        self._steps += 1
        kept = min(self._decay, (1 + self._steps) / (10 + self._steps))
        for mean, weights in zip(self._mean, parameters, strict=True):
            mean.lerp_(weights.detach(), 1 - kept)

    def of(self, parameters: Sequence[torch.Tensor]) -> Sequence[torch.Tensor] | None:  # noqa: ARG002
        return self._mean

    def end_epoch(self, parameters: Sequence[torch.Tensor]) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "mean": self._mean}

    def load_state_dict(self, state: dict[str, Any], parameters: Sequence[torch.Tensor]) -> None:
        self._steps, self._mean = state["steps"], _at(state["mean"], parameters)


class OverEpochs:
    """The mean over the ends of the last epochs."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._ends: list[list[torch.Tensor]] = []

    def step(self, parameters: Sequence[torch.Tensor]) -> None:
        pass

    def of(self, parameters: Sequence[torch.Tensor]) -> Sequence[torch.Tensor] | None:
        ends = [*self._ends[len(self._ends) + 1 - self._last :], list(parameters)]
        return [
            torch.stack([each.detach() for each in weights]).mean(0) for weights in zip(*ends, strict=True)
        ]

    def end_epoch(self, parameters: Sequence[torch.Tensor]) -> None:
        self._ends.append([weights.detach().clone() for weights in parameters])
        del self._ends[: max(0, len(self._ends) + 1 - self._last)]

    def state_dict(self) -> dict[str, Any]:
        return {"ends": self._ends}

    def load_state_dict(self, state: dict[str, Any], parameters: Sequence[torch.Tensor]) -> None:
        self._ends = [_at(weights, parameters) for weights in state["ends"]]


def average_of(section: Off | EmaAverage | EpochsAverage) -> Average:
    """What section `train.average` asks for."""
    if isinstance(section, EmaAverage):
        return OverSteps(section.decay)
    return OverEpochs(section.last) if isinstance(section, EpochsAverage) else NoAverage()


def _at(saved: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """`saved` on the devices of `parameters`; empty where nothing was saved."""
    return [each.to(own.device) for each, own in zip(saved, parameters, strict=False)]
