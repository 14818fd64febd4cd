"""The processor that a job computes on: found, pinned, made repeatable, and described for the record."""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.plan import ON_A_CPU, Plan, plan_of_cuda

if TYPE_CHECKING:
    from training.data import Batch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Device:
    """The processor of one job, and how it computes."""

    name: str
    """Processor, as a person knows it."""
    target: torch.device
    bf16: bool
    """Matrix products run in bfloat16: only where that is faster than float32."""
    threads: int
    plan: Plan = ON_A_CPU

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which matrix products run in bfloat16, where `bf16` says so."""
        if not self.bf16:
            return contextlib.nullcontext()
        # What is cast is not kept: a recorded step would read weights as they were when it was recorded.
        kept = not self.plan.captured
        return torch.autocast(self.target.type, dtype=torch.bfloat16, cache_enabled=kept)

    def place(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """What a network is given of `batch`, on the device: see `Batch.tensors`."""
        return tuple(map(self.put, batch.tensors))

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """`tensor`, which lies on the CPU, on the device."""
        if self.target.type != "cuda":
            return tensor.to(self.target)
        # From pinned memory: from any other a copy waits until the device has done all that was asked of it.
        return tensor.pin_memory().to(self.target, non_blocking=True)

    @property
    def dtype(self) -> str:
        return "bfloat16 autocast" if self.bf16 else "float32"


def is_out_of_memory(error: Exception) -> bool:
    """Whether `error` is what is raised when the device, or the machine, has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def give_up_repeating(error: Exception) -> bool:
    """Whether `error` says that a kernel has no repeatable form; if so, such kernels run from here on."""
    strict = torch.are_deterministic_algorithms_enabled()
    if not strict or torch.is_deterministic_algorithms_warn_only_enabled():
        return False
    if "deterministic" not in str(error):
        return False
    torch.use_deterministic_algorithms(True, warn_only=True)
    why = str(error).splitlines()[0]
    log.warning("trained again, this comes out with slightly other weights: %s", why)
    return True


def open_device(seed: int) -> Device:
    """Choose the device and make it repeatable: same seed, device and thread count, same weights.

    The thread count comes from OMP_NUM_THREADS, which the job's runner sets: it must be known before torch
    is loaded.
    """
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    torch.set_num_threads(threads)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    cuda = torch.cuda.is_available()
    # Where only a warning is asked for, attention on CUDA takes the kernel that is not repeatable. A kernel
    # without a repeatable form raises: see `give_up_repeating`.
    torch.use_deterministic_algorithms(True, warn_only=not cuda)
    # Overwriting fresh memory finds reads of what was never written; as a habit it costs 3 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if cuda:
        torch.backends.cudnn.benchmark = False
        # It makes a plan for each new shape, which takes a thousand times as long as the attention itself.
        torch.backends.cuda.enable_cudnn_sdp(False)
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        plan = plan_of_cuda(torch.cuda.mem_get_info()[0])
        return Device(torch.cuda.get_device_name(), torch.device("cuda"), bf16, threads, plan)
    capabilities = torch.cpu.get_capabilities()
    name = str(capabilities.get("cpu_name", "CPU"))
    return Device(name, torch.device("cpu"), faster_in_bfloat16(name, capabilities), threads)


def faster_in_bfloat16(name: str, capabilities: Mapping[str, object]) -> bool:
    """Whether a CPU multiplies faster in bfloat16 than in float32; told, not timed: a resumed job asks again.

    `capabilities` are those of `torch.cpu.get_capabilities`. AVX-512's instructions for bfloat16 give AMD's
    Zen 5 twice the speed, and take half of it from Intel's Sapphire Rapids, which is made for AMX.
    """
    if capabilities.get("amx_bf16"):
        return True
    return bool(capabilities.get("avx512_bf16")) and name.startswith("AMD")
