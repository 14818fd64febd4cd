"""The lines of a job's log, as written by a process and as told on."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from lakeloop.jobs.log_lines import teller

WRITES = """
import logging, sys, warnings
print("lib.py:1: FutureWarning: at import\\n  old()\\nsaid at import", file=sys.stderr)
from lakeloop.jobs.log_lines import open_log
open_log()
warnings.warn("soon gone", FutureWarning)
logging.getLogger("library").warning("odd")
logging.getLogger("library").error("broken")
logging.getLogger("lakeloop.x").info("epoch 1")
logging.getLogger("training.x").warning("two\\nlines")
logging.getLogger("lakeloop.x").debug("not written")
"""


@pytest.fixture(scope="module")
def written() -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", WRITES], check=True, capture_output=True, text=True
    ).stderr.splitlines()


def test_the_file_has_a_time_and_a_level_on_each_line_and_what_libraries_warn_of(written: list[str]) -> None:
    text = "\n".join(written)
    for line in ("DEBUG odd", "ERROR broken", "INFO epoch 1", "WARNING two", "FutureWarning: soon gone"):
        assert line in text
    assert "not written" not in text


def test_lines_are_told_once_without_their_head_and_libraries_in_the_background(
    written: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("lakeloop.told")
    with caplog.at_level(logging.DEBUG, log.name):
        tell = teller(log)
        for line in written:
            tell(line)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert len(told) == len(written)
    assert [line for line in told if line[0] != "DEBUG"] == [
        ("INFO", "said at import"), ("ERROR", "broken"), ("INFO", "epoch 1"), ("WARNING", "two"),
        ("WARNING", "lines"),
    ]  # fmt: skip
    assert told[:2] == [("DEBUG", "lib.py:1: FutureWarning: at import"), ("DEBUG", "  old()")]
    assert any("soon gone" in text for level, text in told if level == "DEBUG")
