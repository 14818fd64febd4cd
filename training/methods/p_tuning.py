"""Vectors before each text, made by a small network while they are trained (p-tuning, Liu et al. 2021).

The network goes around by a shortcut (Razdaibiedina et al. 2023), so that training begins with the vectors
that there are. In the end its vectors are kept, and it is dropped: what is left is a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from lakeloop.inference.encoders.parts import Prompt, before_texts, stand_before
from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.added import Added
from training.methods.base import Method, Opened, trainable
from training.network import Network


def p_tuning(section: spec.PTuning) -> Method:
    return Gradient(PTuning(spec.PROMPT, section.tokens))


@dataclass(frozen=True)
class PTuning(Added):
    """Opens the vectors, the network that changes them, and the head."""

    def open(self, network: Network) -> Opened:
        super().open(network)
        stand_before(network.encoder, Made(cast("Prompt", before_texts(network.encoder))))
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        made = before_texts(network.encoder)
        with torch.no_grad():
            stand_before(network.encoder, Prompt(made().detach().clone()))


class Made(nn.Module):
    """Gives the vectors of a prompt, changed by a network that changes nothing in the beginning."""

    def __init__(self, prompt: Prompt) -> None:
        super().__init__()
        self.count = prompt.count
        self.prompt = prompt
        size = prompt.vectors.shape[1]
        self.change = nn.Sequential(
            nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size)
        )
        last = cast("nn.Linear", self.change[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self) -> torch.Tensor:
        vectors = self.prompt()
        changed: torch.Tensor = vectors + self.change(vectors)
        return changed
