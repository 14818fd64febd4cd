"""What a person sees of the logs: one line each, on stderr, so that stdout holds the result alone."""

from __future__ import annotations

import logging
import os
import time

from rich.console import Console

from lakeloop.redaction import RedactingFilter


class _Unread(Console):
    """Says nothing any more when nobody reads it (`2>&1 | head`): the work it tells of goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
            # What libraries print, and what is flushed in the end, goes there too.
            os.dup2(nowhere.fileno(), self.file.fileno())


err = _Unread(stderr=True)
"""Everything that is not the result: logs, progress, errors. One console, so that they do not overwrite each
other's lines."""

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_LIBRARIES = (logging.ERROR, logging.WARNING)
_OURS = ("lakeloop", "training")
_configured = [0]
_PYTHON = "py.warnings"
"""The logger of what the module `warnings` is told, most of it of libraries to each other."""


def configure(verbosity: int) -> None:
    """Show warnings (0), what is going on (1), or everything of ours with tracebacks (2 and more).

    What libraries warn of is shown from 1 on, and what Python warns libraries of from 2 on.
    """
    _configured[:] = [verbosity]
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler = _ConsoleHandler(_LIBRARIES[min(verbosity, len(_LIBRARIES) - 1)])
    handler.setFormatter(formatter)
    handler.addFilter(RedactingFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger(_PYTHON).setLevel(logging.WARNING if verbosity >= len(_LEVELS) - 1 else logging.ERROR)
    for name in _OURS:
        logging.getLogger(name).setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])


def verbosity() -> int:
    """What `configure` was told last."""
    return _configured[-1]


def of_a_server(verbosity: int) -> None:
    """As in the process that started a server, in one of those that answer for it."""
    configure(verbosity)
    at_least_info(of_libraries=True)


def at_least_info(*, of_libraries: bool = False) -> None:
    """Show what is going on: for work that takes minutes, or that runs until it is stopped.

    With `of_libraries` also what libraries warn of: where the log is all there is.
    """
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.setLevel(min(logger.getEffectiveLevel(), logging.INFO))
    for handler in logging.getLogger().handlers:
        if of_libraries and isinstance(handler, _ConsoleHandler):
            handler.libraries = min(handler.libraries, logging.WARNING)


class _ConsoleHandler(logging.Handler):
    """Prints above the progress line, if there is one."""

    def __init__(self, libraries: int) -> None:
        super().__init__()
        self.libraries = libraries
        """The least level that a line of a library has. Some (Great Expectations, for one) set their loggers
        to INFO; their chatter is not what runs."""

    def filter(self, record: logging.LogRecord) -> bool:
        ours = record.name.partition(".")[0] in _OURS
        return (ours or record.levelno >= self.libraries) and bool(super().filter(record))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            err.print(self.format(record), soft_wrap=True, markup=False, highlight=False)
        except Exception:  # noqa: BLE001  (logging must not end the work; handleError tells of it)
            self.handleError(record)
