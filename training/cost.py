"""What a job costs: wall, CPU and GPU seconds, memory, energy where the machine tells it; and its load now.

A job that was ended and taken up again has cost what all its tries have, see `training.account`.

Energy is that of the processor packages (RAPL) and of the device (NVML) while the job ran: on a machine that
does other work meanwhile, of that too. Where nothing can be read nothing is said: 0 would be a lie.
"""

from __future__ import annotations

import importlib
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Self

import torch

from training.account import Account, Cost
from training.device import Device

RAPL = Path("/sys/class/powercap")
_STATUS = Path("/proc/self/status")
_STATM = Path("/proc/self/statm")
_PAGE = resource.getpagesize()
_LOOK_EVERY_SECONDS = 60.0
"""A counter of RAPL begins anew after some 2.6e5 J: at 500 W in less than ten minutes."""


class Meter:
    """Begins to count when it is made, and keeps `account` as a context; `read` says what was spent since."""

    def __init__(self, rapl: Path = RAPL, account: Account | None = None) -> None:
        self._began = time.monotonic()
        self._account = account
        self._packages = [_Package(folder) for folder in _readable_packages(rapl)]
        self._devices = _device_joules()
        if self._packages:
            Thread(target=self._look, name="energy", daemon=True).start()

    def __enter__(self) -> Self:
        if self._account is not None:
            self._account.keep(lambda: self._own(on_gpu=torch.cuda.is_available()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._account is not None:
            self._account.close()

    def read(self, device: Device) -> Cost:
        """Seconds, MB and J, those of earlier tries with it; keys of what cannot be read are absent."""
        own = self._own(on_gpu=device.target.type == "cuda")
        return self._account.total(own) if self._account else own

    def _own(self, *, on_gpu: bool) -> Cost:
        wall = time.monotonic() - self._began
        found: Cost = {
            "wall_seconds": round(wall, 3),
            "cpu_seconds": round(_cpu_seconds(), 3),
            "gpu_seconds": round(wall, 3) if on_gpu else 0.0,
            "peak_memory_mb": round(_peak_mb(), 1),
        }
        if on_gpu:
            found["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        energy = self._energy(on_gpu=on_gpu)
        if energy:
            found["energy_joules"] = round(sum(energy.values()), 1)
            found["energy_of"] = {name: round(joules, 1) for name, joules in energy.items()}
        return found

    def _energy(self, *, on_gpu: bool) -> dict[str, float]:
        found: dict[str, float] = {}
        if self._packages:
            found["cpu"] = sum(package.joules() for package in self._packages)
        now = _device_joules() if on_gpu else None
        if now is not None and self._devices is not None:
            found["gpu"] = now - self._devices
        return found

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_EVERY_SECONDS)
            for package in self._packages:
                package.joules()


def together(own: Cost, others: Sequence[Cost]) -> Cost:
    """What a job has cost: its process that ended last, and those that worked beside it.

    Wall time is that of the last; the energy of processors is the machine's already.
    """
    found = dict(own)
    for other in others:
        for key in ("cpu_seconds", "gpu_seconds", "peak_memory_mb"):
            found[key] = round(found[key] + other.get(key, 0.0), 3)
        if (peak := other.get("peak_gpu_memory_mb", 0.0)) > found.get("peak_gpu_memory_mb", 0.0):
            found["peak_gpu_memory_mb"] = peak
        if (joules := other.get("energy_of", {}).get("gpu")) and "gpu" in found.get("energy_of", {}):
            of = found["energy_of"]
            found["energy_of"] = {**of, "gpu": round(of["gpu"] + joules, 1)}
            found["energy_joules"] = round(sum(found["energy_of"].values()), 1)
    return found


class Load:
    """What this process uses of the machine: cores since it was last asked, memory now."""

    def __init__(self) -> None:
        self._asked, self._spent = time.monotonic(), _cpu_seconds()

    def read(self) -> dict[str, float]:
        """By the names that a tracker gets; of a device only where there is one."""
        before, spent = self._asked, self._spent
        self._asked, self._spent = time.monotonic(), _cpu_seconds()
        found = {"system/cores": (self._spent - spent) / max(self._asked - before, 1e-9)}
        with suppress(OSError):
            found["system/memory_mb"] = int(_STATM.read_text().split()[1]) * _PAGE / 2**20
        if torch.cuda.is_available():
            found["system/gpu_memory_mb"] = torch.cuda.memory_allocated() / 2**20
        return found


class _Package:
    """The energy counter of one processor package."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = int(self._counter.read_text())
        self._spent = 0
        self._lock = Lock()

    def joules(self) -> float:
        """Since this was made; to be asked before the counter has begun anew twice."""
        with self._lock, suppress(OSError, ValueError):
            now = int(self._counter.read_text())
            self._spent += now - self._last if now >= self._last else now + self._range - self._last
            self._last = now
        return self._spent / 1e6


def _readable_packages(rapl: Path) -> Iterator[Path]:
    """The packages, without the parts of them; on many machines only root may read them."""
    for folder in sorted(rapl.glob("*-rapl:*")):
        if folder.name.count(":") == 1:
            with suppress(OSError, ValueError):
                _Package(folder)
                yield folder


def _device_joules() -> float | None:
    """What the device in use has used since its driver was loaded; None where NVML cannot say."""
    if not torch.cuda.is_available():
        return None
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        identity = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
        handle = nvml.nvmlDeviceGetHandleByUUID(identity)
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
    except Exception:  # noqa: BLE001 - no package, no driver, an old device: in each case it is not known
        return None


def _cpu_seconds() -> float:
    """Of this process and of those that it started and waited for."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in spent)


def _peak_mb() -> float:
    # Not getrusage where it can be helped: its peak begins with that of the parent process.
    with suppress(OSError, StopIteration):
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
