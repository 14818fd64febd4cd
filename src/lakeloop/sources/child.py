"""Files that could harm the process that reads them are read by another one, with limits on what it takes.

The child reads one file after the other and sends their blocks; it ends by itself when nobody asks for more.
Whatever becomes of it, a signal, no memory, no answer, is an error with a reason in the process that asked.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from lakeloop import errors
from lakeloop.errors import DataError, LakeloopError
from lakeloop.sources.base import Block
from lakeloop.sources.portable import block_of, read_frame, write_block, write_frame
from lakeloop.spec.quoting import plain

_IDLE_SECONDS = 20
_LENGTH = struct.Struct(">Q")
_SENT = (errors.ConfigurationError, errors.CountsError, errors.DataError, errors.TransientError)
"""Errors that the child hands on as they are; the first that fits."""


@dataclass(frozen=True)
class ChildLimits:
    """What reading one file may take."""

    memory: int = 4 << 30
    """Bytes of address space, beyond those of a child that has read nothing."""
    seconds: float = 300
    """Until the next block comes."""
    cpu_seconds: int = 600
    """For the whole file, and one more for each 256 KB of it."""


@dataclass(frozen=True)
class Job:
    """A file to read: `delivery` has `path`, `where` and `blocks_here`, which ends when all is read."""

    delivery: Any
    limits: ChildLimits


def blocks_from_child(job: Job) -> Iterator[Block | str]:
    """The blocks of a file, read by a child; at last the digest of its bytes.

    Raises:
        LakeloopError: what the reader in the child raised.
        DataError: the child died, needed too much, or sent what is no block.
        OSError: the file cannot be read.
    """
    try:
        yield from _blocks_of(_take(), job)
    except _Gone:
        yield from _blocks_of(_Reader(), job)


class _Gone(Exception):  # noqa: N818  (no error: nobody asked for so long)
    """A child that waited for jobs went when this one came; it has not seen it."""


def _blocks_of(reader: _Reader, job: Job) -> Iterator[Block | str]:
    try:
        yield from reader.read(job)
    except (LakeloopError, OSError):
        if not reader.ready:
            reader.end()
            raise
        _give(reader)
        raise
    except BaseException:  # nobody takes the rest
        reader.end()
        raise
    _give(reader)


class _Reader:
    """A child that waits for jobs."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the child)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lakeloop.sources.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self.owner = os.getpid()
        self.ready = True
        """Whether the child waits for a job."""
        self._served = False
        """Whether it has answered: then it may have waited too long for more."""

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def read(self, job: Job) -> Iterator[Block | str]:
        self.ready, untouched = False, self._served
        where = job.delivery.where
        stdin, stdout = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        request = pickle.dumps(job)
        with contextlib.suppress(BrokenPipeError):  # the end of the answer says why
            stdin.write(_LENGTH.pack(len(request)) + request)
            stdin.flush()
        answer = _Patient(stdout.fileno(), job.limits.seconds)
        while True:
            try:
                frame = read_frame(cast("BinaryIO", answer))
                if frame is None and untouched and self._process.wait() == 0:
                    raise _Gone
                if frame is None:
                    raise self._died(where)
                about, data = frame
                untouched, self._served = False, True
                block = block_of(about["block"], data) if "block" in about else None
            except TimeoutError:
                raise self._refused(where, f"no answer for {job.limits.seconds:g} seconds") from None
            except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
                raise self._refused(where, plain(f"an answer that is none: {error}", 200)) from error
            if block is not None:
                yield block
                continue
            self.ready = True
            if "error" in about:
                raise _error_of(about["error"], where)
            yield str(about["digest"])
            return

    def end(self) -> None:
        """End the child, whatever it does."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()
        self._errors.close()

    def _died(self, where: str) -> DataError:
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read()[-2000:].decode(errors="replace").strip().rpartition("\n")[2]
        how = f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
        return self._refused(where, f"{how}{f': {plain(said, 200)}' if said else ''}")

    def _refused(self, where: str, found: str) -> DataError:
        return DataError(
            "the process that reads the file did not come to its end",
            where=where,
            expected="a file that is read within the limits on memory and time",
            found=found,
            remedy="nothing was published; is the file what it should be? If it is, unpack it, or write it "
            "in smaller parts",
        )


class _Patient:
    """A pipe that is read to the size asked for; waits for each part so many seconds. Raises TimeoutError."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._descriptor = descriptor
        self._seconds = seconds
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            if not self._poll.poll(self._seconds * 1000):
                raise TimeoutError
            part = os.read(self._descriptor, min(size - len(parts), 1 << 20))
            if not part:
                break
            parts += part
        return bytes(parts)


_idle: list[_Reader] = []
_idle_lock = threading.Lock()


def _take() -> _Reader:
    """A child that waits, or a new one."""
    with _idle_lock:
        while _idle:
            reader = _idle.pop()
            if reader.owner != os.getpid():
                continue  # that of the process this one was forked off
            if reader.alive:
                return reader
            reader.end()
    return _Reader()


def _give(reader: _Reader) -> None:
    with _idle_lock:
        _idle.append(reader)


@atexit.register
def _end_idle() -> None:
    with _idle_lock:
        for reader in _idle:
            if reader.owner == os.getpid():
                reader.end()
        _idle.clear()


def _error_of(said: dict[str, Any], where: str) -> Exception:
    if said["kind"] == "OSError":
        return OSError(said["errno"], said["strerror"], where)
    for kind in _SENT:
        if kind.__name__ == said["kind"]:
            parts = {name: said[name] for name in ("where", "expected", "found", "remedy")}
            return kind(said["message"], **parts)
    return DataError(
        "cannot be read",
        where=where,
        expected="a file of the format that the loop file says",
        found=plain(f"{said['kind']}: {said['message']}", 200),
        remedy="nothing was published; is the file what it should be?",
    )


def serve(requests: int, answers: BinaryIO) -> None:
    """Read jobs from a descriptor and answer them until nobody asks for more."""
    pipe = _Patient(requests, _IDLE_SECONDS)
    memory = 0
    while size := pipe.read(_LENGTH.size):
        job: Job = pickle.loads(pipe.read(*_LENGTH.unpack(size)))  # noqa: S301  (from our own parent)
        memory = memory or _address_space()
        _answer(job, memory, answers)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _limit(job: Job, memory: int) -> None:
    limits = job.limits
    used = resource.getrusage(resource.RUSAGE_SELF)
    allowed = limits.cpu_seconds + job.delivery.path.stat().st_size // (256 << 10)
    cpu = int(used.ru_utime + used.ru_stime) + 1 + allowed
    for kind, limit in (
        (resource.RLIMIT_AS, memory + limits.memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(kind)
        resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _answer(job: Job, memory: int, answers: BinaryIO) -> None:
    try:
        _limit(job, memory)
        for block in job.delivery.blocks_here():
            write_block(answers, block)
        answer: dict[str, Any] = {"digest": job.delivery.digest_read}
    except LakeloopError as error:
        kind = next((kind.__name__ for kind in _SENT if isinstance(error, kind)), type(error).__name__)
        parts = {name: getattr(error, name) for name in ("message", "where", "expected", "found", "remedy")}
        answer = {"error": {"kind": kind, **parts}}
    except OSError as error:
        known = {"kind": "OSError", "errno": error.errno, "strerror": error.strerror}
        answer = {"error": known if error.errno else {"kind": "damage", "message": str(error)}}
    except MemoryError:
        needs = f"more than {job.limits.memory} bytes of memory"
        answer = {"error": {"kind": "MemoryError", "message": needs}}
    except Exception as error:  # noqa: BLE001  (whatever a library makes of a hostile file)
        answer = {"error": {"kind": type(error).__name__, "message": str(error)}}
    write_frame(answers, answer)


def main() -> None:
    """The child: jobs on standard input, answers on standard output; what libraries print goes elsewhere."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        # Nobody listens any more, or asks for more.
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt, TimeoutError):
            serve(0, answers)


if __name__ == "__main__":
    main()
