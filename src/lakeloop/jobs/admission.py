"""Who gets the devices of a machine: one job each, in the order in which they came, when there is room.

A device is claimed by the lock of a file that all installations on the machine share; the job inherits the
lock, so that the claim ends when its last process does, however it ends. Jobs that wait have a ticket each:
the first in the queue takes what it needs as soon as that is free, and the others wait for it. Between
containers that share a device but no folder for temporary files, only the memory says who is there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from lakeloop.errors import ConfigurationError
from lakeloop.jobs.devices import VISIBLE, Device, read_devices
from lakeloop.locks import is_locked, take
from lakeloop.records import Frozen
from lakeloop.temporary import system_folder

FREE_SHARE = 0.8
"""Of a device's memory that is free, where a job does not say how much it needs: a desktop takes a little."""
LOOK_EVERY_SECONDS = 2.0
_CLAIM_SECONDS = 0.1
"""Who looks whether a device is claimed holds the lock of the claim for a moment."""
_GB = 1e9
_MODE = 0o666


class Need(Frozen):
    """What a job needs of the devices of its machine. A machine without any gives none, and is not asked."""

    devices: int | None = Field(default=1, ge=0)
    """So many for itself; 0: it shall see none; None: all that there are."""
    memory_bytes: int | None = Field(default=None, gt=0)
    """Free on each; by default `FREE_SHARE` of what the device has."""
    title: str = ""
    """Of the job, for those who wait for it."""
    seconds: float | None = Field(default=None, gt=0)
    """How long it will probably take, where that is known."""

    @property
    def count(self) -> int:
        """`devices`, where it is said how many."""
        assert self.devices is not None
        return self.devices

    def fits(self, device: Device) -> bool:
        """Whether `device` could ever have the memory."""
        return self.memory_bytes is None or self.memory_bytes <= device.total

    def has_room(self, device: Device) -> bool:
        """Whether `device` has the memory free now."""
        return device.free >= (self.memory_bytes or FREE_SHARE * device.total)

    @property
    def sentence(self) -> str:
        """For people."""
        each = f" with {self.memory_bytes / _GB:g} GB free" if self.memory_bytes else ""
        return f"{self.count} device(s){each}"


@dataclass(frozen=True)
class Waiting:
    """Why a job waits, and for how long probably."""

    reason: str
    seconds: float | None
    """From now on; None when it is not known."""


@dataclass(frozen=True)
class Admission:
    """What a job was given; closing the descriptors gives it back, unless a child has them too."""

    environment: dict[str, str]
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


def claims_folder() -> Path:
    """The folder of claims and tickets, which all users of this machine share."""
    return system_folder() / "lakeloop-devices"


def admit(need: Need, waits: Callable[[Waiting], None], folder: Path | None = None) -> Admission:
    """Wait until the machine has what the job needs, claim it and return it; at once where it has no devices.

    `waits` is told why, each time that it was looked.

    Raises:
        ConfigurationError: the machine can never have that.
    """
    if need.devices == 0:
        return Admission({VISIBLE: ""})
    if not (devices := read_devices()):
        return Admission({})
    if need.devices is None:
        need = need.model_copy(update={"devices": len(devices)})
    _require_possible(need, devices)
    host = _Host(folder or claims_folder())
    with host.ticket(need) as ticket:
        while True:
            before = host.tickets_before(ticket)
            if not before and (admission := host.claim(need, read_devices())):
                return admission
            waits(host.why(need, read_devices(), before))
            time.sleep(LOOK_EVERY_SECONDS)


def _require_possible(need: Need, devices: Sequence[Device]) -> None:
    possible = [device for device in devices if need.fits(device)]
    if len(possible) < need.count:
        raise ConfigurationError(
            "this machine can never give the job its devices",
            where="train.devices, train.memory",
            expected=f"{need.count} device(s)"
            + (f" with {need.memory_bytes / _GB:g} GB each" if need.memory_bytes else ""),
            found=", ".join(f"{device.title} of {device.total / _GB:.1f} GB" for device in devices),
            remedy="ask for less, or train on another machine",
        )


class _Host:
    """The claims and tickets of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queue = folder / "queue"
        for path in (folder, self._queue):
            with suppress(FileExistsError):
                path.mkdir()
                path.chmod(0o777)  # for the jobs of other users

    @contextmanager
    def ticket(self, need: Need) -> Iterator[Path]:
        """A place in the queue, for as long as the block lasts and this process lives."""
        path = self._queue / f"{time.time_ns():020d}-{os.getpid()}"
        descriptor = _open(hidden := path.with_name(f".{path.name}"))
        try:
            take(descriptor)
            _write(descriptor, need)
            hidden.rename(path)  # it is locked from the moment when others see it
            yield path
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def tickets_before(self, own: Path) -> list[Need]:
        """What those need who came before, oldest first. Who died in the queue has left it."""
        found = []
        for path in sorted(self._queue.glob("[0-9]*")):
            if path.name >= own.name:
                break
            if (held := _held(path)) is not None:
                found.append(held[0])
            else:
                with suppress(OSError):  # another has removed it, or may alone
                    path.unlink()
        return found

    def claim(self, need: Need, devices: Sequence[Device]) -> Admission | None:
        """Claim as many devices with room as are needed; None, and nothing claimed, if there are fewer."""
        held: list[tuple[Device, int]] = []
        for device in devices:
            if len(held) < need.count and need.has_room(device):
                descriptor = _open(self._claim_of(device))
                if take(descriptor, seconds=_CLAIM_SECONDS):
                    held.append((device, descriptor))
                else:
                    os.close(descriptor)
        if len(held) < need.count:
            for _, descriptor in held:
                os.close(descriptor)
            return None
        for _, descriptor in held:
            _write(descriptor, need)
        names = ",".join(device.uuid for device, _ in held)
        return Admission({VISIBLE: names}, tuple(descriptor for _, descriptor in held))

    def why(self, need: Need, devices: Sequence[Device], before: Sequence[Need]) -> Waiting:
        """Why a job that needs that waits, with so many before it."""
        said, ends = [], []
        for device in filter(need.fits, devices):
            holder = _held(self._claim_of(device))
            if holder is not None:
                said.append(f"{device.title} is at work for {holder[0].title or 'another job'}")
                ends.append(_left(*holder))
            elif not need.has_room(device):
                said.append(f"{device.title} has {device.memory}, the rest is another program's")
                ends.append(None)
            else:
                ends.append(0.0)
        if before:
            said.append(f"{len(before)} job(s) came before: {', '.join(one.title for one in before)}")
        return Waiting(f"needs {need.sentence}; {'; '.join(said)}", _begins_in(need, ends, before))

    def _claim_of(self, device: Device) -> Path:
        return self._folder / device.uuid


def _begins_in(need: Need, ends: Sequence[float | None], before: Sequence[Need]) -> float | None:
    """Seconds until a job may begin: each in the queue takes the devices that are free first."""
    free = [end for end in ends if end is not None]
    for one in before:
        free.sort()
        if one.seconds is None or len(free) < one.count:
            return None
        begin = free[one.count - 1]
        free[: one.count] = [begin + one.seconds] * one.count
    free.sort()
    return free[need.count - 1] if len(free) >= need.count else None


def _left(need: Need, since: float) -> float | None:
    """Seconds until a job that has its devices since then gives them back, probably."""
    return None if need.seconds is None else max(0.0, since + need.seconds - time.time())


def _open(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    with suppress(PermissionError):  # of another user; the mode that was asked for is cut by the umask
        os.fchmod(descriptor, _MODE)
    return descriptor


def _write(descriptor: int, need: Need) -> None:
    content = {"need": need.model_dump(mode="json"), "since": time.time(), "pid": os.getpid()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(content).encode(), 0)


def _held(path: Path) -> tuple[Need, float] | None:
    """What the job needs that holds the lock of `path`, and since when; None when nobody does."""
    try:
        if not (path.exists() and is_locked(path)):
            return None
        content: dict[str, Any] = json.loads(path.read_bytes())
        return Need.model_validate(content["need"]), float(content["since"])
    except (OSError, ValueError, KeyError):  # written at this moment: whoever it is, it is there
        return Need(), time.time()
