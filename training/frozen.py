"""The layers that a method does not train: run once for each text instead of once in every epoch.

Frozen layers in eval mode give the same hidden states each time. The states are kept in memory and replayed
into the trained layers, so that an epoch costs what the trained layers cost.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from training.data import Batch, Tokens, sorted_batches
from training.device import Device
from training.embed import BATCH_SIZE
from training.network import Network, layers_of
from training.progress import Passage

LIMIT_BYTES = 2 << 30
"""Hidden states that take more are not kept. A constant instead of the memory that is free at the moment:
the choice changes the last bits of the weights."""


class FrozenLayers:
    """What the `frozen` lower layers of a network give for each row of `tokens`.

    The attribute `network` has the trained layers only, and shares its weights with the whole network.
    """

    def __init__(self, network: Network, frozen: int, tokens: Tokens, device: Device) -> None:
        self._device = device
        self._hidden = _hidden_states(network, frozen, tokens, device)
        self._replay = _Replay()
        self.network = _share(network)
        stack = layers_of(self.network.encoder)
        del stack[: frozen - 1]
        stack[0] = self._replay
        self.network.encoder.config.num_hidden_layers = len(stack)

    def feed(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """The arguments for one call of the attribute `network`, which gets this batch's hidden states."""
        self._replay.hidden = pad_sequence([self._hidden[row] for row in batch.rows], batch_first=True).to(
            self._device.target
        )
        return self._device.place(batch)


def worth_keeping(tokens: Tokens, hidden_size: int, frozen: int, device: Device) -> bool:
    """Whether there are frozen layers, and hidden states of all `tokens` take at most `LIMIT_BYTES`."""
    size = int(tokens.lengths.sum()) * hidden_size * (2 if device.bf16 else 4)
    return frozen > 0 and size <= LIMIT_BYTES


class _Replay(nn.Module):
    """Takes the place of the frozen layers: returns the hidden states that are set, whatever its input."""

    hidden: torch.Tensor

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.hidden


class _Reached(Exception):  # noqa: N818 - no error, a way out
    """The last frozen layer has run; the rest of the network need not."""


@torch.no_grad()
def _hidden_states(network: Network, frozen: int, tokens: Tokens, device: Device) -> list[torch.Tensor]:
    """Output of the last frozen layer for each row, [tokens, hidden], on the CPU."""
    captured: list[torch.Tensor] = []

    def capture(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        captured.append(output)
        raise _Reached

    dtype = torch.bfloat16 if device.bf16 else torch.float32
    hidden: list[torch.Tensor] = [torch.empty(0)] * len(tokens.ids)
    lengths = tokens.lengths
    hook = layers_of(network.encoder)[frozen - 1].register_forward_hook(capture)
    network.eval()
    try:
        passage = Passage("frozen layers", len(lengths), int(lengths.sum()))
        for rows in sorted_batches(lengths, BATCH_SIZE):
            try:
                with device.autocast():
                    network(*device.place(tokens.batch(rows)))
            except _Reached:
                output = captured.pop().to(dtype).cpu()
            for line, row in enumerate(rows):
                hidden[row] = output[line, : lengths[row]].clone()
            passage.add(len(rows), int(lengths[rows].sum()))
    finally:
        hook.remove()
    return hidden


def _share(network: Network) -> Network:
    """A copy of the structure of `network` around the very same weights."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, shared)
