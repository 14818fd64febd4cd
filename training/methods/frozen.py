"""All is trained but the first layers with what lies below them, and weights of some names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.layers import layers_of
from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.base import Method, Opened, trainable
from training.methods.top_layers import TopLayers
from training.network import Network


def frozen(section: spec.FrozenPart) -> Method:
    return Gradient(FrozenPart(section.lowest, tuple(section.names.split())))


@dataclass(frozen=True)
class FrozenPart:
    """Opens what is not frozen, and the head."""

    count: int
    """Layers, from the input. What lies beside the layers is frozen with them: those may read it."""
    patterns: tuple[str, ...] = ()

    def open(self, network: Network) -> Opened:
        encoder = network.encoder
        if not self.count:
            encoder.requires_grad_(True)
            self._freeze(network)
            return Opened(trainable(network))
        depth = len(layers_of(encoder))
        if self.count >= depth:
            raise ConfigurationError(
                "base model has no more layers than are frozen",
                where="train.method.lowest",
                expected=f"at most {depth - 1}",
                found=str(self.count),
            )
        opened = TopLayers(depth - self.count).open(network)
        self._freeze(network)
        return Opened(trainable(network), opened.frozen_layers, opened.train_mode)

    def close(self, network: Network) -> None:
        """Nothing was added."""

    def _freeze(self, network: Network) -> None:
        weights = dict(network.encoder.named_parameters())
        for pattern in self.patterns:
            found = [name for name in weights if fnmatchcase(name, pattern)]
            if not found:
                raise ConfigurationError(
                    "no weight of the base model has such a name",
                    where="train.method.names",
                    expected=f"a pattern of names like {next(reversed(weights))}",
                    found=pattern,
                )
            for name in found:
                weights[name].requires_grad_(False)
