"""What methods share that add a part to the encoder and leave it there."""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.inference.encoders.parts import add, weights_of
from training.methods.base import Opened, trainable
from training.network import Network


@dataclass(frozen=True)
class Added:
    """Opens the part, which is added where the encoder has it not yet, and the head."""

    kind: str
    size: int

    def open(self, network: Network) -> Opened:
        network.encoder.requires_grad_(False)
        add(network.encoder, self.kind, self.size)
        for weight in weights_of(network.encoder, self.kind):
            weight.requires_grad_(True)
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        """What was added stays whole."""
