"""The seam of an engine: from padded batches to float outputs."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from lakeloop.inference.batches import Padded
from lakeloop.inference.devices import Device


class Engine(Protocol):
    """A loaded network. Safe to call from several threads at once."""

    device: Device
    """On which it runs."""

    def run(self, batch: Padded) -> NDArray[Any]:
        """Outputs of the network: float64 [rows, width], or of each token [rows, tokens, width].

        Of one that writes, the ids of new tokens: int64 [rows, tokens], below 0 where there is none.

        Raises:
            ArtifactError: the network fails on its input, or gives something else.
        """
