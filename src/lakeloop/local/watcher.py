"""Starts a process of the local stack again when it has died; `python -m lakeloop.local.watcher`.

It is the last process of the stack to be started and the first to be stopped. It sees deaths, not what
hangs: a process that is there is left alone. What a process needs it inherits: all of a stack run in one
environment.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lakeloop.local import processes
from lakeloop.local.processes import Component
from lakeloop.local.state import WATCHER, StackFile
from lakeloop.settings import get_settings

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
DELAYS = (0.0, 2.0, 5.0, 15.0, 30.0)
"""Seconds before each attempt in a row; after the last one it is left to a person."""
STEADY_SECONDS = 300.0
"""A process that lived so long is healthy again: the next death is the first in a row."""


@dataclass
class _Deaths:
    """How often one process died, with no steady life in between."""

    count: int = 0
    due: float = 0.0
    """When the process is started again, by the watcher's clock."""
    given_up: bool = False


@dataclass
class Watcher:
    """Looks after the processes of one stack, except itself."""

    file: StackFile
    env: Mapping[str, str]
    cwd: str
    clock: Callable[[], float] = time.monotonic
    _deaths: dict[str, _Deaths] = field(default_factory=lambda: defaultdict(_Deaths))
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Name of a process that is alive -> its process id, and since when it was seen so."""

    def look(self) -> None:
        """One round: start again what has died, when it is due."""
        stack = self.file.read()
        for component in stack.components if stack else ():
            if component.name == WATCHER:
                continue
            if component.alive:
                self._alive(component)
            else:
                self._dead(component)

    def _alive(self, component: Component) -> None:
        pid, since = self._seen.get(component.name, (0, 0.0))
        if pid != component.pid:
            self._seen[component.name] = component.pid, self.clock()
        elif self.clock() - since > STEADY_SECONDS:
            self._deaths.pop(component.name, None)

    def _dead(self, component: Component) -> None:
        deaths = self._deaths[component.name]
        if deaths.given_up:
            return
        if self._seen.pop(component.name, None) or not deaths.count:  # this death is seen for the first time
            if deaths.count == len(DELAYS):
                deaths.given_up = True
                log.error(
                    "%s died %d times in a row: it stays down. See %s, mend it, then: make down up",
                    component.name,
                    deaths.count + 1,
                    component.log,
                )
                return
            deaths.due = self.clock() + DELAYS[deaths.count]
            deaths.count += 1
            log.warning("%s (process %d) has died", component.name, component.pid)
        if self.clock() >= deaths.due:
            self._restart(component, deaths.count)

    def _restart(self, component: Component, attempt: int) -> None:
        processes.stop([component])  # what it left behind
        try:
            started = processes.restart(component, env=self.env, cwd=self.cwd)
        except OSError:  # no memory, no file descriptor: that may pass
            log.exception("%s cannot be started", component.name)
            self._deaths[component.name].due = self.clock() + DELAYS[-1]
            return
        self.file.replace(started)
        self._seen[started.name] = started.pid, self.clock()
        log.warning(
            "%s started again as process %d, attempt %d of %d; its log: %s",
            started.name,
            started.pid,
            attempt,
            len(DELAYS),
            started.log,
        )


def main() -> None:
    """Watch until SIGTERM; a round that has begun is ended first, so that no process is forgotten."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    settings = get_settings()
    watcher = Watcher(StackFile(settings), dict(os.environ), str(settings.root))
    while not ended.wait(POLL_SECONDS):
        watcher.look()


if __name__ == "__main__":
    main()
