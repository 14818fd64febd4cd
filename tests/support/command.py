"""What the tests of the command share: a small loop file and what a run of the command ended with."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple
from unittest import mock

import pytest

from lakeloop.cli.main import main

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


def run_lakeloop(argv: tuple[str, ...], env: Mapping[str, str]) -> Ended:
    """Run the command in this process, `env` added to the environment: it costs no new process's imports."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "200", **env}),
        logging_kept(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main(argv)
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Ended(code or 0, out.getvalue(), err.getvalue())
