"""A version beside the champion: it goes on, takes its place or is taken out, and persons come first."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.registry.registry import Registry
from tests.unit.registry.test_registry import CARD, champion_and_previous, promote_two


def three_with_two_champions(registry: Registry, models: list[Path]) -> str:
    """As `promote_two`, and a third version that was registered only; its name."""
    promote_two(registry, models)
    return registry.register(models[2], CARD).name


def test_a_trial_goes_on_in_phases_until_the_champion_moves(registry: Registry, models: list[Path]) -> None:
    third = three_with_two_champions(registry, models)

    first = registry.begin_trial(third, "shadow", 0.0, over="v2", reason="let in", cause="e3")
    assert registry.begin_trial(third, "shadow", 0.0, over="v2", reason="again", cause="e3") == first
    assert registry.read().aliases_of(third) == ("shadow",)
    registry.begin_trial(third, "canary", 0.1, over="v2", reason="does well", cause="e3")
    found = registry.read().trial
    assert found is not None
    assert (found.phase, found.share, found.over) == ("canary", 0.1, "v2")

    registry.promote(third, over="v2", reason="does well", cause="e3")
    assert registry.read().trial is None


def test_a_trial_that_is_ended_leaves_the_champion_and_ends_once(
    registry: Registry, models: list[Path]
) -> None:
    third = three_with_two_champions(registry, models)
    registry.begin_trial(third, "canary", 0.1, over="v2", reason="let in", cause="e3")

    ended = registry.end_trial(third, reason="it fails", by="ada")

    assert ended is not None
    assert (ended.version, ended.by, ended.reason) == (third, "ada", "it fails")
    assert registry.read().trial is None
    assert champion_and_previous(registry) == ("v2", "v1")
    assert registry.end_trial(third, reason="it fails") is None


def test_a_trial_beside_another_champion_than_was_judged_does_not_begin(
    registry: Registry, models: list[Path]
) -> None:
    third = three_with_two_champions(registry, models)
    with pytest.raises(FenceError, match="not the one that was judged against"):
        registry.begin_trial(third, "canary", 0.1, over="v1", reason="let in", cause="e3")


def test_a_rollback_while_a_version_is_tried_ends_the_trial_and_the_next_goes_back(
    registry: Registry, models: list[Path]
) -> None:
    third = three_with_two_champions(registry, models)
    registry.begin_trial(third, "canary", 0.1, over="v2", reason="let in", cause="e3")

    assert registry.rollback("odd answers", by="ada").name == "v2"
    history = registry.read()
    assert history.trial is None
    assert [(end.version, end.by) for end in history.trial_ends] == [(third, "ada")]
    assert champion_and_previous(registry) == ("v2", "v1")

    assert registry.rollback("these too").name == "v1"


def test_a_rollback_to_a_version_moves_the_champion_and_so_ends_the_trial(
    registry: Registry, models: list[Path]
) -> None:
    third = three_with_two_champions(registry, models)
    trial = registry.begin_trial(third, "canary", 0.1, over="v2", reason="let in", cause="e3")
    registry.rollback("odd answers", to="v1")
    history = registry.read()
    assert (history.trial, history.trial_ends) == (None, ())
    assert history.end_of(trial) == history.last_move("champion")


def test_a_rollback_of_a_trial_needs_a_reason(registry: Registry, models: list[Path]) -> None:
    third = three_with_two_champions(registry, models)
    registry.begin_trial(third, "canary", 0.1, over="v2", reason="let in", cause="e3")
    with pytest.raises(ConfigurationError, match="needs a reason"):
        registry.rollback(" ")
    assert registry.read().trial is not None


def test_what_was_decided_on_a_step_does_nothing_in_another_or_after_its_end(
    registry: Registry, models: list[Path]
) -> None:
    third = three_with_two_champions(registry, models)
    shadow = registry.begin_trial(third, "shadow", 0.0, over="v2", reason="let in", cause="e3")
    canary = registry.next_phase(shadow, "canary", 0.1, reason="does well")
    assert canary is not None
    assert (canary.cause, canary.over) == ("e3", "v2")
    # Somebody else decided on the shadow, too.
    assert registry.next_phase(shadow, "canary", 0.5, reason="does well") is None
    assert registry.win_trial(shadow, reason="does well") is None
    assert registry.end_trial(third, reason="fails", phase=shadow) is None
    assert registry.read().trial == canary

    registry.rollback("odd answers", by="ada")
    assert registry.win_trial(canary, reason="does well") is None
    assert registry.next_phase(canary, "canary", 0.5, reason="does well") is None
    assert champion_and_previous(registry) == ("v2", "v1")


def test_a_trial_that_is_won_is_a_promotion_by_its_evaluation(registry: Registry, models: list[Path]) -> None:
    third = three_with_two_champions(registry, models)
    trial = registry.begin_trial(third, "canary", 0.1, over="v2", reason="let in", cause="e3")
    won = registry.win_trial(trial, reason="does well")
    assert won is not None
    assert champion_and_previous(registry) == (third, "v2")
    history = registry.read()
    assert history.made_champion_by("e3") == history.end_of(trial)
    assert history.tried_by("e3") == trial
    assert history.tried_by("e4") is None
