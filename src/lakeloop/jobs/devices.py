"""The NVIDIA devices of this machine, as NVML tells them: what memory each has, and what of it is free.

Where the driver's library is not installed there are none, and nothing is imported. Who gets which device is
`admission`.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""Names the devices that a process may use, by number or UUID, with commas; empty: none."""
_LIBRARY = "libnvidia-ml.so.1"
_GB = 1e9


@dataclass(frozen=True)
class Device:
    """One device, at the moment when it was read."""

    number: int
    uuid: str
    name: str
    total: int
    """Bytes of memory."""
    free: int

    @property
    def title(self) -> str:
        """For people."""
        return f"device {self.number} ({self.name})"

    @property
    def memory(self) -> str:
        """For people: what is free of what."""
        return f"{self.free / _GB:.1f} of {self.total / _GB:.1f} GB free"


def read_devices() -> tuple[Device, ...]:
    """The devices that this process may use; none where nobody can say.

    A device that is parted (MIG) is handed out by its parts, which is the operator's business: with one of
    them, too, none are told.
    """
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:  # no NVIDIA driver: the usual machine
        return ()
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        log.warning("what is free of the devices is not known: the package nvidia-ml-py is not installed")
        return ()
    try:
        nvml.nvmlInit()
        try:
            found = tuple(_read(nvml))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        log.warning("what is free of the devices is not known: %s", error)
        return ()
    return tuple(_visible(found))


def _read(nvml: Any) -> Iterator[Device]:
    handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    if any(_is_parted(nvml, handle) for handle in handles):
        return
    for number, handle in enumerate(handles):
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        uuid, name = (nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle))
        yield Device(number, uuid, name, int(memory.total), int(memory.free))


def _is_parted(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # one that cannot be parted
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _visible(devices: tuple[Device, ...]) -> Iterator[Device]:
    """Those that the environment leaves to this process, in its order."""
    if (wanted := os.environ.get(VISIBLE)) is None:
        yield from devices
        return
    for name in (part.strip() for part in wanted.split(",")):
        for device in devices:
            if name == str(device.number) or (name and device.uuid.startswith(name)):
                yield device
