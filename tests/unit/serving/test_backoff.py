"""Waits grow, up to a limit, and begin anew after a success."""

from __future__ import annotations

from lakeloop.serving.backoff import LONGEST_SECONDS, Backoff


def test_a_wait_doubles_up_to_the_limit_and_falls_back_after_a_success() -> None:
    backoff = Backoff(0.5)
    seconds = []
    for _ in range(3000):
        seconds.append(backoff.seconds)
        backoff.failed()

    assert seconds[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(seconds[7:]) == {LONGEST_SECONDS}

    backoff.worked()
    assert backoff.seconds == 0.5
