"""A version that fails again and again is asked no more, but to see whether it answers again."""

from __future__ import annotations

import pytest

from lakeloop.serving import tally as tally_module
from lakeloop.serving.tally import FAILURES_IN_A_ROW, REST_SECONDS, Tally


def stopped() -> Tally:
    tally = Tally()
    stops = [tally.failed("no") for _ in range(FAILURES_IN_A_ROW)]
    assert stops == [False] * (FAILURES_IN_A_ROW - 1) + [True]
    return tally


def test_failures_stop_it_only_in_a_row() -> None:
    tally = Tally()
    for _ in range(3 * FAILURES_IN_A_ROW):
        tally.failed("no")
        tally.answered()

    assert tally.may_ask()
    assert tally.stopped == ""
    assert (tally.requests, tally.failures) == (6 * FAILURES_IN_A_ROW, 3 * FAILURES_IN_A_ROW)
    assert stopped().stopped == "it failed 5 times in a row, at last: no"


def test_a_stopped_one_is_tried_now_and_then_and_asked_again_when_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(tally_module.time, "monotonic", lambda: clock[0])
    tally = stopped()
    assert not tally.may_ask()

    clock[0] += REST_SECONDS
    assert [tally.may_ask(), tally.may_ask()] == [True, False]
    assert tally.failed("still no") is False
    assert not tally.may_ask()
    assert tally.stopped.endswith("6 times in a row, at last: still no")

    clock[0] += REST_SECONDS
    assert tally.may_ask()
    tally.answered()
    assert [tally.may_ask(), tally.may_ask()] == [True, True]
    assert tally.stopped == ""
