"""Biases alone are trained (BitFit, Ben Zaken et al. 2022): those of linear layers and of norms."""

from __future__ import annotations

from lakeloop.bases.files import WHERE
from lakeloop.errors import ConfigurationError
from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method, Opened, trainable
from training.network import Network


def bitfit(_section: spec.BitFit) -> Method:
    return Gradient(BitFit())


class BitFit:
    """Opens all biases, and the head."""

    def open(self, network: Network) -> Opened:
        network.encoder.requires_grad_(False)
        biases = [p for name, p in network.encoder.named_parameters() if name.endswith("bias")]
        if not biases:
            raise ConfigurationError(
                f"{type(network.encoder).__name__} has no biases to train",
                where=WHERE,
                remedy="train it with method ia3 or lora",
            )
        for bias in biases:
            bias.requires_grad_(True)
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        """Nothing was added."""
