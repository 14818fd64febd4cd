"""Several server processes that take connections from one socket, and the one that looks after them.

The parent opens the socket and never takes a connection: what comes while a process is started anew waits in
the system's queue and is not refused. Processes are forked from one that has imported everything and started
nothing (`multiprocessing`'s fork server), so that one more is there in a moment. One that dies is replaced at
once, or ever more slowly where it dies before it could answer. Each has spools of its own (`log.spool`); they
count together (`metrics`).
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from prometheus_client.multiprocess import mark_process_dead

from lakeloop.errors import ServiceError
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.metrics import SHARED
from lakeloop.temporary import for_this_process

log = logging.getLogger(__name__)

Work = Callable[[Callable[[], None]], None]
"""What a process does until SIGTERM; it calls its argument once it takes connections. Picklable."""

_PRELOAD = ("lakeloop.serving.server", "lakeloop.inference.engines.onnx_encoder", "lakeloop.lake.store")
_FIRST_WAIT = 0.2
"""Seconds, before one that died early is started again."""
_GRACE = 5.0
"""Seconds beyond the time that a process has to drain, before it is killed."""


@dataclass
class _Place:
    """One of the processes, and those that took its place."""

    process: BaseProcess
    ready: Connection
    answers: bool = False
    backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_WAIT))
    not_before: float | None = None
    """It has died; another is started at this moment (monotonic)."""


def supervise(work: Work, count: int, drain_seconds: float) -> None:
    """Let `count` processes do `work` until SIGTERM or SIGINT, then drain them and end by that signal.

    Raises:
        ServiceError: a process ended by itself before any could answer; it said why in the log.
    """
    with _counting_together() as folder, _signals() as stopping:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOAD))
        places = [_start(context, work) for _ in range(count)]
        try:
            _watch(places, lambda: _start(context, work), stopping, folder)
        finally:
            _end(places, 2 * drain_seconds + _GRACE)
    if stopping.by is not None:
        signal.raise_signal(stopping.by)


@dataclass
class _Stop:
    """That the parent was told to stop, by which signal, and a descriptor that can be read then."""

    wake: Connection
    by: int | None = None


@contextlib.contextmanager
def _signals() -> Iterator[_Stop]:
    """Take SIGTERM and SIGINT; as they were before in the end."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    stop = _Stop(reader)

    def told(number: int, _: FrameType | None) -> None:
        if stop.by is None:
            stop.by = number
            writer.send_bytes(b"stop")

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


@contextlib.contextmanager
def _counting_together() -> Iterator[Path]:
    """A folder in which the metrics of all processes are; they find it by their environment."""
    with for_this_process():
        folder = Path(tempfile.mkdtemp(prefix="lakeloop-metrics-"))
        os.environ[SHARED] = str(folder)
        try:
            yield folder
        finally:
            del os.environ[SHARED]
            shutil.rmtree(folder, ignore_errors=True)


def _start(context: Any, work: Work) -> _Place:
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, writer), name="model-server")
    process.start()
    writer.close()
    return _Place(process, reader)


def _run(work: Work, ready: Connection) -> None:
    """In the process: do the work, and end when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent says what is to be done
    parent = multiprocessing.parent_process()
    assert parent is not None

    def orphaned() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=orphaned, name="parent", daemon=True).start()
    work(lambda: ready.send_bytes(b"answers"))


def _watch(places: list[_Place], start: Callable[[], _Place], stopping: _Stop, folder: Path) -> None:
    """Replace what dies, until the parent is told to stop."""
    while stopping.by is None:
        waited = [place.process.sentinel for place in places if place.not_before is None]
        asked: list[Any] = [place.ready for place in places if place.not_before is None and not place.answers]
        later = [place.not_before for place in places if place.not_before is not None]
        seconds = max(0.0, min(later) - time.monotonic()) if later else None
        wait([stopping.wake, *waited, *asked], seconds)
        for number, place in enumerate(places):
            _look(place, anybody=any(each.answers for each in places), folder=folder)
            if place.not_before is not None and time.monotonic() >= place.not_before and not stopping.by:
                place.ready.close()
                places[number] = start()
                places[number].backoff = place.backoff


def _look(place: _Place, *, anybody: bool, folder: Path) -> None:
    """Note that a process answers, or that it is dead."""
    if place.not_before is not None:
        return
    if not place.answers and place.ready.poll():
        with contextlib.suppress(EOFError):  # it died before
            place.ready.recv_bytes()
            place.answers = True
            place.backoff.worked()
    if place.process.is_alive():
        return
    code, pid = place.process.exitcode or 0, place.process.pid
    if not place.answers and not anybody and code > 0 and not place.backoff.failures:
        raise ServiceError(
            "the model server could not start",
            where=f"process {pid}",
            found=f"exit status {code}",
            remedy="see the log above",
        )
    seconds = 0.0
    if not place.answers:
        seconds = place.backoff.seconds
        place.backoff.failed()
    log.error("process %s of the server ended (%s); another one starts in %.1f s", pid, code, seconds)
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
    place.not_before = time.monotonic() + seconds
    place.answers = False


def _end(places: list[_Place], seconds: float) -> None:
    """Let all finish what they are at; kill what does not in time."""
    deadline = time.monotonic() + seconds
    for place in places:
        with contextlib.suppress(ProcessLookupError):
            place.process.terminate()
    for place in places:
        place.process.join(max(0.0, deadline - time.monotonic()))
        if place.process.is_alive():
            log.error("process %s of the server does not end; it is killed", place.process.pid)
            place.process.kill()
            place.process.join()
