"""Everything is trained but the table of word vectors: it gains nothing and is half of a small model."""

from __future__ import annotations

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method, Opened, trainable
from training.network import Network


def full(_section: spec.Full) -> Method:
    return Gradient(Full())


class Full:
    """Opens the whole encoder above the word vectors, and the head."""

    def open(self, network: Network) -> Opened:
        network.encoder.requires_grad_(True)
        network.encoder.get_input_embeddings().requires_grad_(False)
        return Opened(trainable(network))

    def close(self, network: Network) -> None:
        """Nothing was added."""
