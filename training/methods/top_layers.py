"""The last layers are trained. Those below give the same hidden states in every epoch, and run once."""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.layers import layers_of
from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method, Opened, trainable
from training.network import Network


def top_layers(section: spec.TopLayers) -> Method:
    return Gradient(TopLayers(section.layers))


@dataclass(frozen=True)
class TopLayers:
    """Opens so many layers, counted from the output, and the head."""

    count: int

    def open(self, network: Network) -> Opened:
        layers = layers_of(network.encoder)
        if self.count > len(layers):
            raise ConfigurationError(
                "base model has fewer layers",
                where="train.method.layers",
                expected=f"at most {len(layers)}",
                found=str(self.count),
            )
        network.encoder.requires_grad_(False)
        layers[-self.count :].requires_grad_(True)
        return Opened(trainable(network), len(layers) - self.count, self._train_mode)

    def close(self, network: Network) -> None:
        """Nothing was added."""

    def _train_mode(self, network: Network) -> None:
        network.train()
        stack = layers_of(network.encoder)
        if len(stack) > self.count:
            # Without dropout below the trained layers: what comes out of them is the same in every epoch.
            network.encoder.eval()
            stack[-self.count :].train()
