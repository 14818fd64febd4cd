"""Overrides from the command line become typed changes of the loop file."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lakeloop.cli import logs
from lakeloop.cli.running import overrides, working
from lakeloop.errors import ConfigurationError


def test_values_are_typed_as_in_the_loop_file() -> None:
    changes = overrides(
        ["train.epochs=3", "gate.min_score = 0.5", "train.method=lora", "train.learning_rate=~"]
    )
    assert changes == {
        "train.epochs": 3,
        "gate.min_score": 0.5,
        "train.method": "lora",
        "train.learning_rate": None,
    }


def test_a_value_may_hold_the_equals_sign() -> None:
    assert overrides(["train.base_model=models/a=b"]) == {"train.base_model": "models/a=b"}


@pytest.mark.parametrize("text", ["train.epochs", "train.epochs:3", ""])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--set: not an assignment\n  expected: KEY=VALUE"):
        overrides([text])


def test_a_key_set_twice_is_refused_and_not_decided_by_order() -> None:
    with pytest.raises(ConfigurationError, match="set twice"):
        overrides(["train.method=full", "train.method=lora"])


def test_what_libraries_print_stays_out_of_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    with working("busy"):
        sys.stdout.write("noise\n")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "noise" in captured.err


@pytest.mark.parametrize(("verbosity", "shown"), [(0, "wE"), (1, "iwE"), (2, "diwE"), (5, "diwE")])
def test_verbosity_chooses_the_level(capsys: pytest.CaptureFixture[str], verbosity: int, shown: str) -> None:
    logs.configure(verbosity)
    log = logging.getLogger("lakeloop.somewhere")
    log.debug("d")
    log.info("i")
    log.warning("w [bold]%s[/]", "E")
    logging.getLogger("chatty.library").info("x")
    lines = capsys.readouterr().err.splitlines()
    assert "".join(line.rsplit(": ", 1)[1][0] for line in lines) == shown.replace("E", "")
    assert lines[-1].endswith("WARNING lakeloop.somewhere: w [bold]E[/]")
    assert lines[-1][8] == "Z"


@pytest.mark.parametrize(
    ("verbosity", "shown"), [(0, "broken"), (1, "odd broken"), (2, "odd broken soon gone")]
)
def test_what_libraries_warn_of_is_shown_when_asked_for(
    capsys: pytest.CaptureFixture[str], verbosity: int, shown: str
) -> None:
    logs.configure(verbosity)
    library = logging.getLogger("some.library")
    library.warning("odd")
    library.error("broken")
    logging.getLogger("py.warnings").warning("soon gone")  # where the module `warnings` sends what it is told
    said = capsys.readouterr().err
    found = [word for word in ("odd", "broken", "soon gone") if word in said]
    assert " ".join(found) == shown


def test_a_server_shows_what_libraries_warn_of(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(0)
    logs.at_least_info(of_libraries=True)
    logging.getLogger("some.server").warning("Invalid HTTP request received.")
    logging.getLogger("lakeloop.serving").info("serving news")
    shown = capsys.readouterr().err
    assert "Invalid HTTP request" in shown
    assert "serving news" in shown


def test_a_library_that_sets_its_own_level_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(1)
    chatty = logging.getLogger("chatty.library")
    chatty.setLevel(logging.INFO)
    chatty.info("created a temporary folder")
    chatty.warning("something is wrong")
    assert "created" not in (shown := capsys.readouterr().err)
    assert "something is wrong" in shown


def test_work_goes_on_when_nobody_reads_what_is_said_of_it() -> None:
    """As behind `2>&1 | head`: the pipe is closed, and libraries print into it, too."""
    work = """
import sys, warnings
from lakeloop.cli import logs
from lakeloop.cli.running import working
logs.configure(1)
import logging
import subprocess
sys.stdin.readline()
with working("work"):
    for _ in range(3):
        logging.getLogger("lakeloop").info("a line")
        print("of a library", flush=True)
open(sys.argv[1], "w").write("done")
"""
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder) / "done"
        process = subprocess.Popen(
            [sys.executable, "-c", work, str(done)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.wait(60) == 0
        assert done.read_text() == "done"
