"""Layers of long trainings on a GPU, compiled: their element-wise kernels become fewer.

A layer stays the module that it is, with the same names of weights; only how it is called changes, until the
training is over. What is compiled holds for all widths and numbers of texts. It is compiled anew a few times
at most (for validation, for a single text), and then runs as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch._dynamo import config

from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.inference.encoders.layers import layers_of
from training.network import Network

log = logging.getLogger(__name__)

WORTH = 3e16
"""Floating-point operations of a training from which compiling pays twice over. By replayed passes on an H100
MiniLM does 75e12 a second and a base size 224e12; compiled they take 24 % and 21 % less time, and to compile
takes 28 s and 14 s: won back after 0.9e16 and 1.5e16 operations (measured on 2026-11-27)."""
BACKEND = "inductor"
RECOMPILED = 8
"""Times at most that a layer is compiled anew."""


def is_long(network: Network, tokens: int) -> bool:
    """Whether it pays to compile the layers of `network` for a training on so many tokens, in all epochs."""
    weights = sum(weight.numel() for layer in _layers(network) for weight in layer.parameters())
    return 6 * weights * tokens >= WORTH  # a multiplication and an addition, forward and twice backward


@contextmanager
def compiled_layers(network: Network, trial: Callable[[], object]) -> Iterator[int]:
    """In the block the layers of `network` run compiled, if that works in `trial`, which changes nothing.

    Gives how many: all or none.
    """
    layers = _layers(network)
    try:
        with config.patch(recompile_limit=RECOMPILED):
            count = len(layers) if _compile(layers, trial) else 0
            # What cannot be compiled anew later runs as it is.
            with config.patch(suppress_errors=True):
                yield count
    finally:
        _restore(layers)


def _compile(layers: Sequence[torch.nn.Module], trial: Callable[[], object]) -> bool:
    try:
        for layer in layers:
            layer.compile(backend=BACKEND, dynamic=True)
        trial()
    except LakeloopError:  # the job was asked to end
        raise
    except Exception as error:  # noqa: BLE001 - whatever cannot be compiled can still be run
        _restore(layers)
        error = getattr(error, "inner_exception", error)
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        log.warning("layers cannot be compiled (%s): they run as they are", why)
        return False
    log.info("%d layers are compiled", len(layers))
    return True


def _restore(layers: Sequence[torch.nn.Module]) -> None:
    for layer in layers:
        layer._compiled_call_impl = None  # noqa: SLF001 - there is no other way back


def _layers(network: Network) -> Sequence[torch.nn.Module]:
    """Layers with weights, what stands for frozen ones has none; none where there is no single stack."""
    try:
        stack = layers_of(network.encoder)
    except ConfigurationError:
        return ()
    return [layer for layer in stack if next(layer.parameters(), None) is not None]
