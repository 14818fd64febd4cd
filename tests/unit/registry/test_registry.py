"""The registry on a real lake: versions, aliases, history, and two writers at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import ArtifactError, ConfigurationError, FenceError, NewerFormatError
from lakeloop.gate.decide import Decision
from lakeloop.lake.store import Lake
from lakeloop.records import now
from lakeloop.registry.history import CARD_FORMAT, ModelCard, read_history
from lakeloop.registry.registry import Registry
from tests.support.artifacts import make_artifact
from tests.unit.registry.conftest import LABELS

CARD = ModelCard(
    candidate="baseline",
    method="keywords",
    dataset_digest="d" * 64,
    metrics={"macro_f1": 0.95},
    decision=Decision(accepted=None, reason="for the test", checks=()),
)


def champion_and_previous(registry: Registry) -> tuple[str, str | None]:
    history = registry.read()
    champion, previous = history.alias("champion"), history.previous
    assert champion
    return champion.name, previous.name if previous else None


def promote_two(registry: Registry, models: list[Path]) -> None:
    """v1 becomes champion, then v2 in its place."""
    for folder in models[:2]:
        registry.register(folder, CARD)
    registry.promote("v1", over=None, reason="first", cause="e1")
    registry.promote("v2", over="v1", reason="better", cause="e2")


def test_an_empty_registry_has_no_champion(registry: Registry) -> None:
    assert registry.champion() is None
    assert registry.read().moves == ()


def test_versions_are_numbered_and_their_artifacts_can_be_fetched(
    lake: Lake, registry: Registry, models: list[Path], tmp_path: Path
) -> None:
    first, second = (registry.register(folder, CARD) for folder in models[:2])
    assert [first.name, second.name] == ["v1", "v2"]
    assert first.card == CARD
    assert make_artifact(tmp_path / "same", LABELS, seed=1).digest == second.digest
    fetched = lake.files.fetch(second.folder_name, tmp_path / "fetched")
    assert (fetched / "model.onnx").read_bytes() == (models[1] / "model.onnx").read_bytes()


def test_the_same_artifact_is_the_same_version(registry: Registry, models: list[Path]) -> None:
    assert registry.register(models[0], CARD) == registry.register(models[0], CARD)
    assert list(registry.read().versions) == ["v1"]


def test_a_broken_artifact_is_not_registered(registry: Registry, models: list[Path]) -> None:
    (models[0] / "model.onnx").write_bytes(b"another model")
    with pytest.raises(ArtifactError, match=r"model\.onnx is not the file that was registered"):
        registry.register(models[0], CARD)
    assert registry.read().versions == {}


def test_what_a_killed_registration_left_is_taken_over(
    lake: Lake, registry: Registry, models: list[Path]
) -> None:
    lake.files.put(models[0], "models/v1")
    assert registry.register(models[0], CARD).name == "v1"


def test_a_folder_left_by_a_killed_registration_of_another_artifact_is_passed_over(
    lake: Lake, registry: Registry, models: list[Path]
) -> None:
    lake.files.put(models[1], "models/v1")
    assert registry.register(models[0], CARD).name == "v2"
    assert registry.register(models[2], CARD).name == "v3"


def test_a_rollback_makes_the_version_before_champion_again_and_keeps_the_reason(
    registry: Registry, models: list[Path]
) -> None:
    promote_two(registry, models)
    assert champion_and_previous(registry) == ("v2", "v1")

    assert registry.rollback("answers look wrong").name == "v1"
    assert champion_and_previous(registry) == ("v1", None)
    assert [(m.alias, m.version, m.previous) for m in registry.read().moves] == [
        ("champion", "v1", None),
        ("champion", "v2", "v1"),
        ("champion", "v1", "v2"),
    ]
    assert registry.read().moves[-1].reason == "answers look wrong"


def test_a_second_rollback_goes_further_back_and_never_to_the_bad_version(
    registry: Registry, models: list[Path]
) -> None:
    promote_two(registry, models)
    registry.register(models[2], CARD)
    registry.promote("v3", over="v2", reason="better still", cause="e3")

    assert registry.rollback("v3 is bad").name == "v2"
    assert registry.rollback("v2 as well").name == "v1"
    with pytest.raises(
        ConfigurationError, match=r"found: champion v1; other versions: v3, v2\n  to do: .*--to VERSION"
    ):
        registry.rollback("and v1")


def test_a_release_after_a_rollback_goes_back_to_what_it_replaced(
    registry: Registry, models: list[Path]
) -> None:
    promote_two(registry, models)
    registry.register(models[2], CARD)
    registry.rollback("v2 is bad")
    registry.promote("v3", over="v1", reason="better than v1", cause="e3")
    assert registry.rollback("v3 is bad too").name == "v1"


def test_a_version_that_is_promoted_again_can_be_gone_back_to(registry: Registry, models: list[Path]) -> None:
    promote_two(registry, models)
    registry.register(models[2], CARD)
    registry.rollback("v2 is bad")
    registry.promote("v2", over="v1", reason="it was not", cause="e3")
    registry.promote("v3", over="v2", reason="better still", cause="e4")
    assert registry.rollback("v3 is bad").name == "v2"
    assert registry.rollback("v2 is bad after all").name == "v1"


def test_a_person_can_name_the_version_also_one_that_was_rolled_back(
    registry: Registry, models: list[Path]
) -> None:
    promote_two(registry, models)
    registry.rollback("v2 is bad")
    assert registry.rollback("it was not", to="v2").name == "v2"
    assert champion_and_previous(registry) == ("v2", "v1")
    with pytest.raises(ConfigurationError, match="v2 is the champion"):
        registry.rollback("again", to="v2")
    with pytest.raises(ConfigurationError, match=r"no such model version\n  expected: v1, v2\n  found: v7"):
        registry.rollback("typo", to="v7")


def test_moves_of_an_alias_that_is_no_longer_written_do_not_change_the_way_back() -> None:
    def row(sequence: int, alias: str | None, version: str, cause: str) -> dict[str, object]:
        event = "moved" if alias else "registered"
        record = cause if alias else CARD.model_dump_json()
        return {
            "sequence": sequence, "event": event, "version": version, "alias": alias, "previous": None,
            "digest": version, "reason": "", "run_id": "", "recorded_at": now(), "record": record,
        }  # fmt: skip

    toggled = [
        row(1, None, "v1", ""), row(2, None, "v2", ""), row(3, "champion", "v1", "e1"),
        row(4, "champion", "v2", "e2"), row(5, "previous", "v1", "e2"),
        row(6, "champion", "v1", "rollback"), row(7, "previous", "v2", "rollback"),
        row(8, "champion", "v2", "rollback"), row(9, "previous", "v1", "rollback"),
    ]  # fmt: skip
    at = [read_history(toggled[:length], 1).previous for length in (5, 7, 9)]
    assert [version.name if version else None for version in at] == ["v1", None, "v1"]


def test_promoting_the_champion_again_is_no_move(registry: Registry, models: list[Path]) -> None:
    registry.register(models[0], CARD)
    for _ in range(2):
        registry.promote("v1", over=None, reason="first", cause="e1")
    assert len(registry.read().moves) == 1


def test_a_decision_is_not_carried_out_on_another_champion(registry: Registry, models: list[Path]) -> None:
    for folder in models:
        registry.register(folder, CARD)
    registry.promote("v1", over=None, reason="first", cause="e1")
    registry.promote("v2", over="v1", reason="better", cause="e2")
    with pytest.raises(FenceError, match=r"expected: v1\n  found: v2"):
        registry.promote("v3", over="v1", reason="judged before", cause="e3")


def test_of_two_writers_that_read_the_same_state_one_wins(
    lake: Lake, registry: Registry, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in models[:2]:
        registry.register(folder, CARD)
    slow, fast = Registry(lake, Attempt("slow")), Registry(lake, Attempt("fast"))
    state = slow.read()
    monkeypatch.setattr(slow, "read", lambda: state)
    fast.promote("v1", over=None, reason="fast", cause="e1")
    with pytest.raises(FenceError, match="moved on"):
        slow.promote("v2", over=None, reason="slow", cause="e2")
    champion = registry.champion()
    assert champion is not None
    assert champion.name == "v1"
    assert len(registry.read().moves) == 1


def test_unknown_versions_and_missing_previous_are_named(registry: Registry, models: list[Path]) -> None:
    with pytest.raises(ConfigurationError, match="no version is registered yet"):
        registry.promote("v1", over=None, reason="", cause="")
    registry.register(models[0], CARD)
    registry.promote("v1", over=None, reason="first", cause="e1")
    with pytest.raises(ConfigurationError, match="found: champion v1; other versions: none"):
        registry.rollback("no way back")


def test_of_four_releases_at_once_one_moves_the_champion(
    lake: Lake, registry: Registry, models: list[Path], tmp_path: Path
) -> None:
    make_artifact(tmp_path / "fourth", LABELS, seed=3)
    names = [registry.register(folder, CARD).name for folder in (*models, tmp_path / "fourth")]
    start = threading.Barrier(len(names))

    def promote(name: str) -> str | None:
        own = Registry(lake, Attempt(name))
        start.wait()
        try:
            own.promote(name, over=None, reason="at once", cause=name)
        except FenceError:
            return None
        return name

    with ThreadPoolExecutor(len(names)) as pool:
        winners = [name for name in pool.map(promote, names) if name]
    champion = registry.champion()
    assert champion is not None
    assert winners == [champion.name]
    assert [move.version for move in registry.read().moves] == winners


def test_a_card_of_an_earlier_format_can_be_read() -> None:
    accepted = {"name": "baseline", "digest": "0" * 64, "score": 1.0, "rows": 15, "rows_digest": "2" * 64}
    card = ModelCard.model_validate(
        {
            "candidate": "baseline",
            "method": "logistic_regression",
            "dataset_digest": "d" * 64,
            "metrics": {"macro_f1": 1.0},
            "decision": {"accepted": accepted, "reason": "baseline passes", "checks": []},
        }
    )
    assert (card.format, card.evidence) == (1, "")
    assert card.decision.accepted is not None
    assert card.decision.accepted.score == 1.0


def test_a_model_of_a_newer_lakeloop_is_refused_by_its_version(
    registry: Registry, models: list[Path]
) -> None:
    for ask in (
        lambda: registry.register(models[0], CARD.model_copy(update={"format": CARD_FORMAT + 1})),
        registry.champion,
    ):
        with pytest.raises(NewerFormatError, match="card of model v1: written by a newer version"):
            ask()


def test_the_move_that_an_evaluation_asked_for_is_found_also_when_a_person_went_back(
    registry: Registry, models: list[Path]
) -> None:
    promote_two(registry, models)
    registry.rollback("answers look wrong")
    move = registry.read().made_champion_by("e2")
    assert move is not None
    assert move.version == "v2"
    assert registry.read().made_champion_by("e3") is None


def test_the_first_word_on_a_candidate_stands_against_what_nobody_said(registry: Registry) -> None:
    said = registry.answer("e1", "d1", approved=True, by="ada", reason="yes")
    assert registry.answer("e1", "d1", approved=False, by="", reason="too late") == said
    assert registry.supersede("e1", "d1", newer="e2", day="2026-11-17") == said
    again = registry.answer("e1", "d1", approved=False, by="bob", reason="looked again")
    assert (again.by, registry.read().answer_to("e1", "d1")) == ("bob", again)


def test_a_question_that_newer_ones_ended_is_closed_until_the_newest_is_rejected(registry: Registry) -> None:
    first = registry.supersede("e1", "d1", newer="e2", day="2026-11-17")
    assert (first.approved, first.by, first.title) == (False, "", "superseded by the candidate of 2026-11-17")
    second = registry.supersede("e2", "d2", newer="e3", day="2026-11-18")
    assert registry.answer("e1", "d1", approved=True, by="ada", reason="this one") == first
    registry.answer("e3", "d3", approved=True, by="ada", reason="the newest")
    assert registry.answer("e2", "d2", approved=True, by="ada", reason="this one") == second
    registry.answer("e3", "d3", approved=False, by="ada", reason="no, not the newest")
    assert registry.answer("e1", "d1", approved=True, by="ada", reason="this one").approved
    assert registry.read().answer_to("e2") == second
