"""An attempt is named by its run and its try."""

from __future__ import annotations

from lakeloop.attempt import Attempt


def test_two_tries_of_one_run_have_different_tokens() -> None:
    assert Attempt("run-1", 1).token == "run-1#1"
    assert Attempt("run-1", 1).token != Attempt("run-1", 2).token


def test_two_commands_typed_at_once_are_two_attempts() -> None:
    assert Attempt.local().token != Attempt.local().token
