"""Model servers of this installation that a person started by `lakeloop serve`: `down` leaves them alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lakeloop.settings import Settings

_COMMANDS = frozenset({"lakeloop", "lakeloop.cli.main"})


@dataclass(frozen=True)
class Server:
    """A process that answers, or is about to."""

    pid: int
    ports: tuple[int, ...]
    """On which it listens, its children too; none: not yet."""

    @property
    def sentence(self) -> str:
        """For people."""
        where = f"port {', '.join(map(str, self.ports))}" if self.ports else "no port yet"
        return (
            f"left alone: the model server that was started by hand, process {self.pid}, {where};"
            f" end it with Ctrl-C where it runs, or: kill {self.pid}"
        )


def servers_by_hand(settings: Settings) -> Iterator[Server]:
    """Those that serve from the home of `settings`, after what was not started by hand was stopped.

    Processes of other users, whose surroundings cannot be seen, are passed over.
    """
    for process in psutil.process_iter():
        try:
            if _serves(process.cmdline()) and _is_of(process, settings):
                yield Server(process.pid, tuple(sorted(set(_ports(process)))))
        except psutil.Error:
            continue


def _serves(argv: Sequence[str]) -> bool:
    names = [Path(part).name for part in argv]
    return any(one in _COMMANDS and "serve" in argv[place + 1 :] for place, one in enumerate(names))


def _is_of(process: psutil.Process, settings: Settings) -> bool:
    there = process.environ()
    if home := there.get("LAKELOOP_HOME"):
        return Path(process.cwd(), home).resolve() == settings.home.resolve()
    return Path(there.get("LAKELOOP_ROOT") or process.cwd()).resolve() == settings.root.resolve()


def _ports(process: psutil.Process) -> Iterator[int]:
    for one in (process, *process.children(recursive=True)):
        for connection in one.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.port
