"""The account of a job: what each of its tries has cost, kept in the job's folder until the work is done.

Each try has a file, written anew every `SECONDS` while it works and once when it ends: of a try that was
killed without a word at most the last `SECONDS` are missing, and what it did before it opened its account
(imports). A machine that loses power may lose the file; the tries beside it count all the same.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

SECONDS = 2.0
"""Between two entries of a try."""
_SUMMED = ("wall_seconds", "cpu_seconds", "gpu_seconds", "energy_joules")
_HIGHEST = ("peak_memory_mb", "peak_gpu_memory_mb")
_PARTS = "energy_of"

Cost = dict[str, Any]
"""Seconds, MB and J by name; what is not known is absent."""


class Account:
    """The files of all tries of one job; this process is one of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{time.time_ns()}-{os.getpid()}.json"
        self._ended = threading.Event()
        self._writer: threading.Thread | None = None

    def keep(self, read: Callable[[], Cost]) -> None:
        """Write down what this try has cost so far, by `read`, now and from now on."""
        self._write(read())
        self._writer = threading.Thread(target=self._go_on, args=(read,), name="account", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write the last entry of this try."""
        self._ended.set()
        if self._writer is not None:
            self._writer.join()

    def clear(self) -> None:
        """Remove all: the work is done, and its result says what it has cost."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def told(self, goes_on: str) -> str:
        """`goes_on`, what an earlier try left for this one; where that is nothing, the log says so."""
        earlier = sum(path != self._own for path in self._folder.glob("*.json"))
        if earlier and not goes_on:
            log.info("begins anew: no checkpoint of the %d try(s) before is there to go on from", earlier)
        return goes_on

    def total(self, own: Cost) -> Cost:
        """The cost of this try and of those before it; `tries` says how many, where there are several."""
        tries = [*self._earlier(), own]
        found: Cost = {}
        for name in _SUMMED:
            if known := [each[name] for each in tries if name in each]:
                found[name] = round(sum(known), 3)
        for name in _HIGHEST:
            if known := [each[name] for each in tries if name in each]:
                found[name] = max(known)
        parts: dict[str, float] = {}
        for each in tries:
            for name, joules in each.get(_PARTS, {}).items():
                parts[name] = round(parts.get(name, 0.0) + joules, 1)
        if parts:
            found[_PARTS] = parts
        if len(tries) > 1:
            found["tries"] = len(tries)
        return found

    def _earlier(self) -> Iterator[Cost]:
        for path in sorted(self._folder.glob("*.json")):
            if path != self._own:
                try:
                    yield dict(json.loads(path.read_bytes()))
                except (OSError, ValueError) as error:
                    log.warning("the cost of an earlier try is not known: %s: %s", path, error)

    def _go_on(self, read: Callable[[], Cost]) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(SECONDS)
            self._write(read())

    def _write(self, cost: Cost) -> None:
        # Not made durable: that takes a slow disk's time every two seconds, and a kill spoils no file.
        beside = self._own.with_suffix(".tmp")
        with suppress(OSError):  # a full disk is no reason to end
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(cost))
            beside.replace(self._own)
