"""How much memory a training step takes, how much there is, and in how many passes a batch is run for it.

Passes of a batch add up their gradients, each by its share of the rows: the same step, but for rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from lakeloop.bases.parts import virtual_tokens_of
from lakeloop.errors import ConfigurationError
from training.device import Device, give_up_repeating, is_out_of_memory
from training.network import Network
from training.plan import ON_A_CPU

if TYPE_CHECKING:
    from training.methods.base import Opened

log = logging.getLogger(__name__)

HALVINGS = 2
"""How often a batch is halved after the device had no memory left."""
_GB = 1e9
_HEADROOM = 0.9
"""Share of the free memory that is counted on."""
_A_TOKEN = 46
"""Bytes of a layer that a pass and its backward pass hold, for each token and hidden value, in half
precision: 34 that are kept (Korthikanti et al. 2022), and what comes and goes, as measured."""
_A_PAIR = 5
"""The same for each pair of tokens and each head, where attention is not one kernel."""
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Need:
    """Bytes that a training step takes, beside what the process has now."""

    fixed: int
    """Gradients, the optimiser's two moments and the weights of the best epoch."""
    a_text: int
    """For each text of a pass, of the longest."""

    def of(self, texts: int) -> int:
        return self.fixed + texts * self.a_text


def need_of(network: Network, opened: Opened, longest: int, device: Device) -> Need:
    """What a step of `network` with opened weights takes for texts of `longest` tokens: an estimate."""
    longest += virtual_tokens_of(network.encoder.config.to_dict())
    trained = sum(parameter.numel() * parameter.element_size() for parameter in opened.parameters)
    config = network.encoder.config
    layers = max(1, config.num_hidden_layers - opened.frozen_layers)
    kept = _A_TOKEN * longest * config.hidden_size
    if config._attn_implementation == "eager":  # noqa: SLF001 - there is no other way to ask
        kept += _A_PAIR * longest * longest * config.num_attention_heads
    return Need(4 * trained, kept * layers * (1 if device.bf16 else 2))


def free_bytes(device: Device) -> int:
    """Memory that the device can still give; of a CPU what its control group and the machine leave."""
    if device.target.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device.target)
        return (
            int(free) + torch.cuda.memory_reserved(device.target) - torch.cuda.memory_allocated(device.target)
        )
    return min([int(psutil.virtual_memory().available), *_left_by_cgroups()])


def _left_by_cgroups() -> list[int]:
    left = []
    for limit, used in _CGROUPS:
        try:
            left.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
    return left


def texts_of_a_pass(batch_size: int, need: Need, free: int) -> int:
    """How many texts of a batch go through the network at once: all, a half, a quarter, as memory allows.

    Raises:
        ConfigurationError: the optimiser alone needs more memory than there is.
    """
    if need.fixed > free:
        raise ConfigurationError(
            "there is not enough memory to train the base model",
            where="train.method",
            expected=f"{need.fixed / _GB:.1f} GB for gradients and optimiser",
            found=f"{free / _GB:.1f} GB free",
            remedy="train fewer weights (method head, lora or top_layers), take a smaller base model, or give"
            " the worker more memory",
        )
    texts = batch_size
    while texts > 1 and need.of(texts) > _HEADROOM * free:
        texts = -(-texts // 2)
    if texts < batch_size:
        log.warning(
            "a batch of %d texts needs about %.1f GB and %.1f GB are free: it goes in passes of %d, and their"
            " gradients are added up",
            batch_size, need.of(batch_size) / _GB, free / _GB, texts,
        )  # fmt: skip
    return texts


def unlearnt(device: Device, what: str) -> Passes:
    """Passes of batches of which nothing is learnt; as small at last as those that suit a CPU."""
    more = max(0, (device.plan.texts // ON_A_CPU.texts).bit_length() - 1)
    return Passes(device.plan.texts, halved=-more, what=what)


Backward = Callable[[NDArray[np.int64], float], torch.Tensor]
"""Rows, and their share of the batch -> that share of the mean loss; adds up the gradients."""


@dataclass
class Passes:
    """How many texts of a batch go through the network at once: fewer after the device had no memory left."""

    texts: int
    halved: int = 0
    """How often; below 0 where they may be halved more often than `HALVINGS`."""
    what: str = "batches"
    """What they are passes of, for the log."""

    def run(self, rows: NDArray[np.int64], backward: Backward, forget: Callable[[], None]) -> torch.Tensor:
        """Have `backward` add up the gradients of the batch `rows`; returns its mean loss, a scalar.

        `forget` drops what gradients there are, before the batch is tried again.

        Raises:
            RuntimeError: there is no memory left, after `HALVINGS` tries with fewer texts in a pass, too.
        """
        return self._try(lambda: self._run(rows, backward), len(rows), forget)

    def outputs(
        self,
        rows: NDArray[np.int64],
        compute: Callable[[NDArray[np.int64]], torch.Tensor],
        forget: Callable[[], None] = lambda: None,
    ) -> torch.Tensor:
        """What `compute` gives for `rows`, on the CPU, [rows, ...]; nothing is learnt.

        `forget` frees what it keeps on the device, before the rows are tried again.

        Raises:
            RuntimeError: as of `run`.
        """
        return self._try(
            lambda: torch.cat([compute(part).cpu() for part in self._parts(rows)]), len(rows), forget
        )

    def _try(self, work: Callable[[], torch.Tensor], rows: int, forget: Callable[[], None]) -> torch.Tensor:
        while True:
            try:
                return work()
            except RuntimeError as error:
                again = give_up_repeating(error)
                if not again and (not is_out_of_memory(error) or self.halved == HALVINGS or self.texts == 1):
                    raise
            # Out of the block that holds the error, and with it the tensors of the pass.
            forget()
            if again:
                continue
            self.texts = -(-min(self.texts, rows) // 2)
            self.halved += 1
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            log.warning(
                "the device has no memory left: %s go in passes of %d texts from here on",
                self.what,
                self.texts,
            )

    def _run(self, rows: NDArray[np.int64], backward: Backward) -> torch.Tensor:
        if len(rows) <= self.texts:
            return backward(rows, 1.0)
        return torch.stack([backward(part, len(part) / len(rows)) for part in self._parts(rows)]).sum()

    def _parts(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        return [rows[first : first + self.texts] for first in range(0, len(rows), self.texts)]
