"""Work is dealt out by tokens: the short as it comes, the long token for token."""

from __future__ import annotations

from concurrent.futures import Future

from lakeloop.serving.turns import SHORT_TOKENS, Turns, Work


def work(cost: int) -> Work:
    """A request all of whose pieces cost so many tokens."""

    def pieces():  # type: ignore[no-untyped-def]
        while True:
            yield cost

    return Work(pieces(), Future(), short=True, cost=cost)


def spend(turns: Turns, rounds: int) -> list[Work]:
    """Whose turns of the long ones the next are; each has a next piece like the last."""
    taken = []
    for _ in range(rounds):
        taken.append(turns.take(short=False))
        turns.add(taken[-1])
    return taken


def test_two_long_requests_get_the_same_tokens_whatever_their_pieces_cost() -> None:
    turns, coarse, fine = Turns(), work(500), work(300)
    turns.add(coarse)
    turns.add(fine)
    spend(turns, 400)

    assert abs(coarse.had - fine.had) <= 500


def test_a_request_that_comes_late_is_not_paid_for_the_time_before_it() -> None:
    turns, early, late = Turns(), work(400), work(400)
    turns.add(early)
    spend(turns, 50)
    turns.add(late)
    spend(turns, 20)

    assert abs(late.had - 20 * 400 / 2) <= 400


def test_a_request_is_short_until_it_has_had_what_a_short_one_has() -> None:
    turns, growing = Turns(), work(SHORT_TOKENS // 2)
    turns.add(growing)
    for _ in range(2):
        assert turns.take(short=True) is growing
        turns.add(growing)

    assert not turns.has(short=True)
    assert turns.take(short=False) is growing


def test_a_first_piece_that_costs_more_than_a_short_request_is_long_from_the_start() -> None:
    turns = Turns()
    turns.add(work(SHORT_TOKENS + 1))
    turns.add(short := work(SHORT_TOKENS))

    assert turns.take(short=True) is short
    assert not turns.has(short=True)
    assert turns.has(short=False)
