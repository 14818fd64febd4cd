"""The lines of a job's log: how a job writes them, and how the process that waits for it tells them on.

In the file each line has its own time and level. Who tells it on has a log with times of its own, so that a
line is told without its head, at its level; what libraries complain about is in the file, and told as detail.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, Protocol

from lakeloop.redaction import RedactingFilter

_HEAD = "%(asctime)s %(levelname)s %(message)s"
_TIME = "%H:%M:%S"
_LINE = re.compile(r"\d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)")
_PYTHON_WARNS = re.compile(r"\S+:\d+: \w*Warning: ")
"""How Python tells of a warning, before a job has opened its log: libraries that are imported do."""
_OURS = ("lakeloop", "training")


def open_log() -> None:
    """Write lines to stderr: what of ours is information or more, and what libraries warn of, as detail."""
    logging.basicConfig(level=logging.WARNING, format=_HEAD, datefmt=_TIME)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_libraries_warn_in_the_background)
        handler.addFilter(RedactingFilter())
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _libraries_warn_in_the_background(record: logging.LogRecord) -> bool:
    if record.levelno < logging.ERROR and record.name.partition(".")[0] not in _OURS:
        record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
    return True


class Log(Protocol):
    """A logger: that of Python, or of Airflow."""

    def log(self, level: int, event: Any, /, *args: Any) -> Any:
        """Write one line."""


def teller(log: Log) -> Callable[[str], None]:
    """A function that tells the lines of one job's log to `log`, in order.

    A line without a head belongs to the one before.
    """
    level, warned = logging.INFO, False

    def tell(line: str) -> None:
        nonlocal level, warned
        text = line
        if found := _LINE.fullmatch(line):
            level, text = getattr(logging, found[1]), found[2]
        # The line of code that a warning is about comes below it.
        warned = not found and (bool(_PYTHON_WARNS.match(line)) or (warned and line.startswith("  ")))
        log.log(logging.DEBUG if warned else level, "%s", text)

    return tell
