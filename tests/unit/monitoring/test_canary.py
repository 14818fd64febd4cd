"""From what was seen of requests to a verdict: none without data, none by chance, a quick one if bad."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from lakeloop.monitoring.canary import LEAST, Name, Plan, Seen, Verdict, verdict

PLAN = Plan(requests=300, hours=24, otherwise="go_on", share=0.1)
Rates = tuple[float, float]
"""Share of bad ones, of the champion and of the version that is tried."""
Pair = tuple[bool, float]
"""Of one request, as `Seen` has it of many."""


def seen(
    requests: int,
    *,
    share: float = 0.1,
    seed: int = 0,
    failures: Rates = (0.001, 0.001),
    slower: float = 1.0,
    unsure: Rates = (0.1, 0.1),
    wrong: Rates = (0.1, 0.1),
) -> dict[Name, list[Pair]]:
    """Requests until the version has had so many."""
    rng, had = random.Random(seed), 0
    found: dict[Name, list[Pair]] = {"failures": [], "latency": [], "unsure": [], "wrong": []}
    while had < requests:
        our = rng.random() < share
        had += our
        found["failures"].append((our, float(rng.random() < failures[our])))
        milliseconds = 20 * math.exp(rng.gauss(0, 0.5)) * (slower if our else 1)
        found["latency"].append((our, milliseconds))
        found["unsure"].append((our, float(rng.random() < unsure[our])))
        if rng.random() < 0.5:
            found["wrong"].append((our, float(rng.random() < wrong[our])))
    return found


def judged(found: Mapping[Name, list[Pair]], plan: Plan = PLAN, hours: float = 1.0) -> Verdict:
    champion = sum(not our for our, _ in found.get("failures", ()))
    seen = {name: Seen.of(pairs) for name, pairs in found.items()}
    return verdict(seen, plan, hours, champion=champion)


def test_nothing_seen_waits_and_then_does_what_the_loop_file_says() -> None:
    assert judged({}).action == "wait"
    assert judged({}).reason == "0 of 300 requests"
    late = judged({}, hours=24)
    assert late.action == "go_on"
    assert late.reason == (
        "after 24 h there are 0 of 300 requests, so nothing is known of it; by `otherwise: go_on` of the loop"
        " file it goes on all the same"
    )
    ends = Plan(requests=300, hours=24, otherwise="end")
    assert judged({}, ends, hours=24).action == "end"


def test_fewer_than_the_least_never_end_it_before_its_time() -> None:
    """Each of them failed, and the champion's thousand did not."""
    for ours in range(1, LEAST):
        found: dict[Name, list[Pair]] = {"failures": [(False, 0.0)] * 1000 + [(True, 1.0)] * ours}
        assert judged(found).action == "wait"
    found = {"failures": ([(False, 0.0)] * 9 + [(True, 1.0)]) * LEAST}
    assert judged(found).action == "end"


def test_without_enough_of_the_champion_nothing_is_compared() -> None:
    found: dict[Name, list[Pair]] = {"failures": [(True, 0.0)] * 400 + [(False, 0.0)] * 5}
    assert judged(found).action == "wait"
    assert judged(found).reason == "400 of 300 requests, and 5 of the champion, of at least 20"


@pytest.mark.parametrize("seed", range(6))
def test_of_two_equal_versions_the_new_one_goes_on(seed: int) -> None:
    found = judged(seen(300, seed=seed))
    assert (found.action, found.ours) == ("go_on", 300)
    assert found.reason.startswith("nothing speaks against it in 300 requests: requests that failed")


@pytest.mark.parametrize(
    ("signal", "worse"),
    [
        ("requests that failed", {"failures": (0.001, 0.05)}),
        ("requests that took long", {"slower": 2.5}),
        ("answers that it was unsure of", {"unsure": (0.1, 0.6)}),
        ("answers that feedback calls wrong", {"wrong": (0.05, 0.4)}),
    ],
)
def test_what_is_worse_is_found_within_a_few_hundred_requests(signal: str, worse: dict[str, Rates]) -> None:
    found = judged(seen(300, seed=5, **worse))  # type: ignore[arg-type]
    assert found.action == "end"
    assert signal in found.reason


def test_what_was_found_stays_found_whatever_comes_after() -> None:
    found = seen(200, failures=(0.001, 0.1))
    assert judged(found).action == "end"
    well: list[Pair] = [(number % 10 == 0, 0.0) for number in range(5000)]
    assert judged({"failures": [*found["failures"], *well]}).action == "end"


def test_a_better_or_a_slightly_slower_version_goes_on() -> None:
    better = {"failures": (0.05, 0.0), "unsure": (0.3, 0.1), "wrong": (0.3, 0.1)}
    assert judged(seen(300, slower=0.5, **better)).action == "go_on"  # type: ignore[arg-type]
    assert judged(seen(300, slower=1.3)).action == "go_on"


def test_milliseconds_that_nobody_feels_are_no_latency() -> None:
    found: dict[Name, list[Pair]] = {"failures": [], "latency": []}
    for number in range(4000):
        our = number % 10 == 0
        found["failures"].append((our, 0.0))
        found["latency"].append((our, 5.0 if our else 1.0))
    assert judged(found).action == "go_on"


def test_more_steps_share_the_same_risk() -> None:
    found = seen(100, failures=(0.001, 0.06), seed=2)
    one, four = judged(found), judged(found, Plan(300, 24, "go_on", 0.1, steps=4))
    assert {each.enough for each in one.signals} == {400}
    assert {each.enough for each in four.signals} == {1600}


def test_the_path_of_many_requests_is_as_long_as_can_be_shown() -> None:
    found = judged({"failures": [(number % 2 == 0, 0.0) for number in range(100_000)]})
    assert found.ours == 50_000
    counts = [count for count, _ in found.path]
    assert counts == list(range(100, 50_001, 100))


def test_the_path_says_how_the_evidence_grew() -> None:
    found = judged(seen(300, failures=(0.001, 0.1), seed=1))
    counts = [count for count, _ in found.path]
    assert counts == list(range(20, 301, 20))
    assert max(evidence["failures"] for _, evidence in found.path) <= found.signals[0].evidence
    assert found.metrics["trial/requests"] == 300
    assert found.metrics["trial/failures/share"] > 0.05
    assert set(found.metrics) > {"trial/latency/evidence", "trial/unsure/champion", "trial/champion_requests"}
