"""A canary is asked its share of the requests, always the same; a larger share has those of a smaller."""

from __future__ import annotations

import math

import pytest

from lakeloop.serving.router import key_of, place_of
from lakeloop.tasks.reading import Instance

CLIENTS = [f"client-{number}" for number in range(10_000)]


def places(version: str = "v2", loop: str = "news") -> list[float]:
    return [place_of(loop, version, key_of(client, [])) for client in CLIENTS]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_share_is_met_within_chance(share: float) -> None:
    found = sum(place < share for place in places())

    deviation = math.sqrt(len(CLIENTS) * share * (1 - share))
    assert abs(found - len(CLIENTS) * share) < 4 * deviation


def test_who_is_in_a_small_share_is_in_a_larger_one() -> None:
    asked = [{client for client, place in zip(CLIENTS, places(), strict=True) if place < share}
             for share in (0.05, 0.1, 0.5, 1.0)]  # fmt: skip

    assert asked[0] < asked[1] < asked[2] < asked[3] == set(CLIENTS)


def test_another_version_or_loop_is_tried_by_others() -> None:
    first = {client for client, place in zip(CLIENTS, places(), strict=True) if place < 0.1}
    for others in (places("v3"), places(loop="stars")):
        found = {client for client, place in zip(CLIENTS, others, strict=True) if place < 0.1}
        assert len(first & found) < 200, "100 of 1000 by chance"


def test_the_place_is_the_same_in_every_release() -> None:
    assert place_of("news", "v2", key_of("ada", [])) == pytest.approx(0.7931, abs=1e-4)


def test_the_key_is_the_client_or_else_all_that_is_asked() -> None:
    one, other = [Instance("tech")], [Instance("tech", "and more"), Instance("a", features={"b": 1, "c": 2})]
    turned = [Instance("tech", "and more"), Instance("a", features={"c": 2, "b": 1})]

    assert key_of("ada", one) == key_of("ada", other) != key_of("bob", one)
    assert key_of("", one) == key_of("", [Instance("tech")]) != key_of("", other)
    assert key_of("", other) == key_of("", turned)
    assert key_of("", [Instance("a"), Instance("b")]) != key_of("", [Instance("ab")])
    assert key_of("rows", []) != key_of("", [])
