"""What a person sees of the logs: one line each, on stderr, so that stdout holds the result alone."""

from __future__ import annotations

import logging
import time

from rich.console import Console

err = Console(stderr=True)
"""Everything that is not the result: logs, progress, errors. One console, so that they do not overwrite each
other's lines."""

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_OURS = ("lakeloop", "training")


def configure(verbosity: int) -> None:
    """Show warnings (0), what is going on (1), or everything of ours with tracebacks (2 and more)."""
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = _ConsoleHandler()
    handler.setFormatter(formatter)
    handler.addFilter(_ours_or_serious)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])


def at_least_info() -> None:
    """Show what is going on: for processes that run until they are stopped, whose log is all there is."""
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))


def _ours_or_serious(record: logging.LogRecord) -> bool:
    """Libraries (Great Expectations, for one) set their loggers to INFO; their chatter is not what runs."""
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] in _OURS


class _ConsoleHandler(logging.Handler):
    """Prints above the progress line, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            err.print(self.format(record), soft_wrap=True, markup=False, highlight=False)
        except Exception:  # noqa: BLE001  (logging must not end the work; handleError tells of it)
            self.handleError(record)
