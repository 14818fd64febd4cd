"""Errors say where, what was expected, what came and what to do, and survive the way to another process."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from lakeloop.errors import (
    ArtifactError,
    ConfigurationError,
    CountsError,
    DataError,
    FenceError,
    JobError,
    LakeloopError,
    NewerFormatError,
    ServiceError,
    TerminalError,
    TransientError,
    exit_code,
)


def test_the_message_is_composed_of_its_parts() -> None:
    error = DataError(
        "no rows", where="news 2026-11-20", expected="50 rows", found="0", remedy="look upstream"
    )
    assert str(error) == ("news 2026-11-20: no rows\n  expected: 50 rows\n  found: 0\n  to do: look upstream")
    assert (error.message, error.where, error.remedy) == ("no rows", "news 2026-11-20", "look upstream")


def test_parts_that_are_not_there_leave_no_trace() -> None:
    assert str(LakeloopError("it broke")) == "it broke"


def test_an_error_comes_out_of_a_pickle_as_it_went_in() -> None:
    error = FenceError("overtaken", where="raw", expected="run-1#1", found="run-1#2", remedy="nothing")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is FenceError
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    ("kind", "terminal", "code"),
    [
        (ConfigurationError, True, 64),
        (DataError, True, 65),
        (CountsError, True, 65),
        (ArtifactError, True, 65),
        (NewerFormatError, True, 65),
        (FenceError, False, 75),
        (ServiceError, False, 75),
        (JobError, False, 75),
    ],
)
def test_the_type_and_the_exit_code_tell_the_same_about_a_retry(
    kind: type[LakeloopError], terminal: bool, code: int
) -> None:
    assert issubclass(kind, TerminalError) is terminal
    assert issubclass(kind, TransientError) is not terminal
    assert exit_code(kind("x")) == code


def test_an_error_that_nobody_foresaw_has_the_plain_exit_code() -> None:
    assert exit_code(ValueError("x")) == 1


def test_a_process_can_end_with_the_code_of_its_error() -> None:
    program = "import sys; from lakeloop.errors import *; sys.exit(exit_code(ServiceError('away')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 75
