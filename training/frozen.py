"""The layers that a method does not train: run once for each text instead of once in every epoch.

Frozen layers in eval mode give the same hidden states each time. The states are kept in memory and replayed
into the trained layers, so that an epoch costs what the trained layers cost. Where an encoder hands on more
than hidden states from layer to layer, as T5 does, nothing is kept, and the frozen layers run each time.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from lakeloop.inference.encoders.layers import layers_of
from training.data import Batch, Tokens, sorted_batches
from training.device import Device
from training.memory import unlearnt
from training.network import Network
from training.probe import alike
from training.progress import Passage
from training.ranks import ALONE, Ranks
from training.steps import Feed, forward_of

log = logging.getLogger(__name__)

LIMIT_BYTES = 2 << 30
"""Hidden states that take more are not kept. A constant instead of the memory that is free at the moment:
the choice changes the last bits of the weights."""

_WHAT = "frozen layers"


class FrozenLayers:
    """What the `frozen` lower layers of a network give for each row of `tokens`.

    The attribute `network` has the trained layers only, and shares its weights with the whole network. Of
    several processes each runs a part of the rows, and all get all.
    """

    def __init__(
        self, network: Network, frozen: int, tokens: Tokens, device: Device, ranks: Ranks = ALONE
    ) -> None:
        self._device = device
        self._states = _hidden_states(network, frozen, tokens, device, ranks)
        self._replayed = _Replayed(torch.empty(0), self._states.others)
        self.network = _share(network)
        stack = layers_of(self.network.encoder)
        for number in range(frozen):
            stack[number] = _Replay(stack[number], self._replayed)

    @property
    def feed(self) -> Feed:
        """How a batch comes into the attribute `network`: with its hidden states."""
        return Feed(self._tensors, self._bind)

    def _tensors(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """What the network is given, and behind it hidden states, [rows, tokens, hidden], on the device."""
        hidden = pad_sequence([self._states.of_rows[row] for row in batch.rows], batch_first=True)
        if wider := batch.input_ids.shape[1] - hidden.shape[1]:
            hidden = pad(hidden, (0, 0, 0, wider))
        return (*self._device.place(batch), self._device.put(hidden))

    def _bind(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self._replayed.hidden = tensors[-1]
        return tensors[:-1]


def worth_keeping(tokens: Tokens, hidden_size: int, frozen: int, device: Device) -> bool:
    """Whether there are frozen layers, and hidden states of all `tokens` take at most `LIMIT_BYTES`."""
    size = int(tokens.lengths.sum()) * hidden_size * (2 if device.bf16 else 4)
    return frozen > 0 and size <= LIMIT_BYTES


@torch.inference_mode()
def can_replay(network: Network, frozen: int, tokens: Tokens, device: Device) -> bool:
    """Whether the layers above the `frozen` ones do on kept hidden states what they do else.

    It is tried, in float32, on the shortest and the longest of the texts.
    """
    ends = tokens.only(np.argsort(tokens.lengths, kind="stable")[[0, -1]])
    batch, exact = ends.batch(np.arange(2)), replace(device, bf16=False)
    network.eval()
    try:
        whole = own_tokens(network.embed(*device.place(batch)), batch)
        layers = FrozenLayers(network, frozen, ends, exact)
        replayed = own_tokens(layers.network.embed(*layers.feed(batch)), batch)
    except torch.OutOfMemoryError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
    else:
        if alike(whole, replayed):
            return True
        why = "they hand on more than hidden states"
    log.info(
        "the layers of %s cannot be replayed (%s): the frozen ones run in each epoch",
        type(network.encoder).__name__, why,
    )  # fmt: skip
    return False


def own_tokens(known: torch.Tensor, batch: Batch) -> torch.Tensor:
    """What is `known` of each row, or of each token, [rows, tokens, hidden], with zeros for padding."""
    return known if known.ndim == 2 else known * batch.attention_mask.to(known)[..., None]


@dataclass
class _Replayed:
    """What the frozen layers give for one batch."""

    hidden: torch.Tensor
    others: int | None


class _Replay(nn.Module):
    """Takes the place of a frozen layer: returns the hidden states that are set, whatever its input.

    One for each layer, which is asked for what this one lacks: encoders look at the number of layers, and at
    what kind of attention a layer has.
    """

    def __init__(self, layer: nn.Module, replayed: _Replayed) -> None:
        super().__init__()
        # In a tuple: the layer is no part of this one, neither are its weights.
        self._behind = (layer, replayed)

    def forward(self, *_: Any, **__: Any) -> Any:
        replayed = self._behind[1]
        if replayed.others is None:
            return replayed.hidden
        return (replayed.hidden, *[None] * replayed.others)

    def __getattr__(self, name: str) -> Any:
        if name == "_behind":
            raise AttributeError(name)
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._behind[0], name)


class _Reached(Exception):  # noqa: N818 - no error, a way out
    """The last frozen layer has run; the rest of the network need not."""


@dataclass
class _States:
    """Output of the last frozen layer."""

    of_rows: Sequence[torch.Tensor] = ()
    """For each row, [tokens, hidden], on the CPU."""
    others: int | None = None
    """How many values the layer returns beside the hidden states; None where it returns these alone."""


@torch.no_grad()
def _hidden_states(network: Network, frozen: int, tokens: Tokens, device: Device, ranks: Ranks) -> _States:
    lengths = tokens.lengths
    states, kept = _States(), torch.empty(0)
    dtype = torch.bfloat16 if device.bf16 else torch.float32
    network.eval()
    with _until(layers_of(network.encoder)[frozen - 1], network, states) as compute:
        forward = forward_of(device, Feed(device.place), lambda *texts: compute(*texts).to(dtype), _WHAT)

        def own_tokens(rows: NDArray[np.int64]) -> torch.Tensor:
            """Hidden states of the tokens of `rows`, one text after the other, [tokens, hidden]."""
            batch = tokens.batch(rows)
            hidden = forward(batch).cpu()
            return hidden[batch.attention_mask.bool()]

        passage = Passage(_WHAT, len(lengths), int(lengths.sum()))
        passes = unlearnt(device, f"batches in {_WHAT}")
        batches = list(sorted_batches(lengths, device.plan))
        own = ranks.own(batches)
        for rows in own or batches[:1]:  # one at least, for its shape
            output = passes.outputs(rows, own_tokens, forward.forget)
            if not states.of_rows:
                kept = torch.zeros(int(lengths.sum()), output.shape[-1], dtype=dtype)
                states.of_rows = torch.split(kept, lengths.tolist())
            for row, hidden in zip(
                rows if own else (), torch.split(output, lengths[rows].tolist()), strict=bool(own)
            ):
                states.of_rows[row].copy_(hidden)
            passage.add(len(rows), int(lengths[rows].sum()))
    ranks.put_together(kept)
    return states


@contextmanager
def _until(
    layer: nn.Module, network: Network, states: _States
) -> Iterator[Callable[[torch.Tensor, torch.Tensor], torch.Tensor]]:
    """Token ids, mask -> what `layer` of `network` gives; `states` learns how many values are beside it."""
    reached: list[torch.Tensor] = []

    def capture(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, tuple):
            states.others = len(output) - 1
            output = output[0]
        reached.append(output)
        raise _Reached

    def compute(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        with contextlib.suppress(_Reached):
            network(ids, mask)
        return reached.pop()

    hook = layer.register_forward_hook(capture)
    try:
        yield compute
    finally:
        hook.remove()


def _share(network: Network) -> Network:
    """A copy of the structure of `network` around the very same weights."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, shared)
