"""When training is due, and how the reason reads."""

from __future__ import annotations

import pytest

from lakeloop.datasets.decision import EarlierTraining, decide, describe_changes
from lakeloop.datasets.published import PublishedPartition
from lakeloop.spec.train import Train

RULES = Train(min_rows=100, min_new_rows=40)
CONFIG = {"train": {"method": "lora", "epochs": 3}}


def published(**rows: int) -> dict[str, PublishedPartition]:
    """`d16=60` is 60 rows of 2026-11-16."""
    days = {name: f"2026-11-{name[1:]}" for name in rows}
    return {days[n]: PublishedPartition(days[n], f"digest of {n}", count) for n, count in rows.items()}


def trained(partition: str, *days: str, config: dict[str, object] | None = None) -> EarlierTraining:
    partitions = {f"2026-11-{day}": f"digest of d{day}" for day in days}
    return EarlierTraining(partition, partitions, CONFIG if config is None else config)


@pytest.mark.parametrize(
    ("days", "earlier", "train", "reason"),
    [
        ({}, [], False, "0 rows published in 0 partition(s); training needs 100 rows, 100 more"),
        (
            {"d16": 60, "d17": 30},
            [],
            False,
            "90 rows published in 2 partition(s), 2026-11-16..2026-11-17; training needs 100 rows, 10 more",
        ),
        (
            {"d16": 100},
            [],
            True,
            "first training: 100 rows published in 1 partition(s), 2026-11-16; at least 100 needed",
        ),
        (
            {"d16": 100},
            [trained("2026-11-16", "16")],
            False,
            "nothing new since the training of 2026-11-16: all 1 published partition(s) were in its data set",
        ),
        (
            {"d16": 100, "d17": 30},
            [trained("2026-11-16", "16")],
            False,
            "30 new rows since the training of 2026-11-16 (2026-11-17); 40 needed, 10 more",
        ),
        (
            {"d16": 100, "d17": 30, "d18": 10},
            [trained("2026-11-16", "16")],
            True,
            "40 new rows since the training of 2026-11-16 (2026-11-17..2026-11-18); at least 40 needed",
        ),
    ],
)
def test_reasons_say_the_numbers(
    days: dict[str, int], earlier: list[EarlierTraining], train: bool, reason: str
) -> None:
    decision = decide(published(**days), earlier, RULES, CONFIG)
    assert (decision.train, decision.reason) == (train, reason)


def test_a_day_that_was_published_again_with_other_rows_is_new() -> None:
    before = EarlierTraining("2026-11-16", {"2026-11-16": "another digest"}, CONFIG)
    assert decide(published(d16=100), [before], RULES, CONFIG).train


def test_a_changed_configuration_trains_again_and_says_what_changed() -> None:
    before = trained("2026-11-16", "16", config={"train": {"method": "full", "epochs": 3}})
    decision = decide(published(d16=100), [before], RULES, CONFIG)
    assert decision.train
    assert "since the training of 2026-11-16: train.method full -> lora;" in decision.reason


def test_a_configuration_that_was_tried_before_the_last_one_is_not_tried_again() -> None:
    earlier = [trained("2026-11-16", "16"), trained("2026-11-16", "16", config={"train": {}})]
    assert not decide(published(d16=100), earlier, RULES, CONFIG).train


def test_an_older_day_is_in_the_newer_data_set() -> None:
    assert not decide(published(d16=100), [trained("2026-11-18", "16", "17", "18")], RULES, CONFIG).train


def test_a_training_on_older_days_by_hand_does_not_make_the_newest_days_new_again() -> None:
    earlier = [trained("2026-11-18", "16", "17", "18"), trained("2026-11-16", "16")]
    decision = decide(published(d16=100, d17=100, d18=100), earlier, RULES, CONFIG)
    assert not decision.train
    assert decision.reason.startswith("nothing new since the training of 2026-11-18")


def test_changes_name_added_and_removed_keys() -> None:
    assert describe_changes({"a": 1, "b": {"c": 2}}, {"b": {"c": 3, "d": 4}}) == (
        "a 1 -> None, b.c 2 -> 3, b.d None -> 4"
    )
