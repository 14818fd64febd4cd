"""Turns by tokens: the short as it comes, of the long that which would be through first by equal shares."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future

from lakeloop.serving.turns import SHORT_TOKENS, Turns, Work


def work(cost: int, pieces: int = 1) -> Work:
    """A request of so many pieces, each of which costs so many tokens."""

    def nothing() -> Generator[int, None, None]:
        yield cost

    return Work(nothing(), Future(), size=cost * pieces, cost=cost)


def spend(turns: Turns, rounds: int) -> list[Work]:
    """Whose turns of the long ones the next are; each comes back until it has had its size."""
    taken = []
    for _ in range(rounds):
        if not turns.has(short=False):
            break
        taken.append(turns.take(short=False))
        if taken[-1].had < taken[-1].size:
            turns.add(taken[-1])
    return taken


def test_equal_requests_are_through_one_after_the_other() -> None:
    turns, requests = Turns(), [work(500, 10) for _ in range(3)]
    for request in requests:
        turns.add(request)

    assert spend(turns, 30) == [request for request in requests for _ in range(10)]


def test_a_smaller_request_goes_before_a_large_one_that_has_begun() -> None:
    turns, large, small = Turns(), work(500, 60), work(500, 2)
    turns.add(large)
    spend(turns, 3)
    turns.add(small)

    assert spend(turns, 3) == [small, small, large]


def test_a_request_that_is_nearly_through_is_not_overtaken() -> None:
    turns, early, late = Turns(), work(500, 10), work(500, 5)
    turns.add(early)
    spend(turns, 8)
    turns.add(late)

    assert spend(turns, 3) == [early, early, late]


def test_smaller_ones_without_end_do_not_keep_a_large_one_from_its_share() -> None:
    turns, large = Turns(), work(500, 40)
    turns.add(large)
    spent = 0
    while large.had < large.size:
        turns.add(work(500, 2))
        spent += sum(each.cost for each in spend(turns, 2))
        assert spent < 8 * large.size

    assert spent > large.size


def test_none_is_through_later_than_if_all_had_been_dealt_the_same() -> None:
    sizes = [40, 3, 17, 8, 8, 25]
    turns, requests = Turns(), [work(500, size) for size in sizes]
    for request in requests:
        turns.add(request)
    order = spend(turns, sum(sizes))
    for request, size in zip(requests, sizes, strict=True):
        through = len(order) - order[::-1].index(request)
        assert through <= sum(min(size, other) for other in sizes)


def test_a_request_is_short_until_it_has_had_what_a_short_one_has() -> None:
    turns, growing = Turns(), work(SHORT_TOKENS // 2, 3)
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
