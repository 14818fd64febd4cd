"""What the tests of the command share: a small loop file and what a run of the command ended with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

DAY = "2026-11-20"
LOOP = """\
name: tickets
source:
  kind: files
  path: data/{partition}.jsonl
  key: id
  columns: {id: string, text: string, team: string}
task:
  text: text
  label: team
  labels: [billing, technical]
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@contextmanager
def logging_kept() -> Iterator[None]:
    """The command configures the process's logging; what comes after it must not see that."""
    loggers = [logging.getLogger(name) for name in ("", "lakeloop", "training")]
    before = [(logger.level, logger.handlers[:]) for logger in loggers]
    try:
        yield
    finally:
        for logger, (level, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.handlers[:] = handlers
