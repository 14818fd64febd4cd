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
from lakeloop.registry.history import CARD_FORMAT, ModelCard
from lakeloop.registry.registry import Registry
from tests.support.artifacts import make_artifact
from tests.support.small_loop import small_loop

LABELS = ("sports", "tech")
CARD = ModelCard(
    candidate="baseline",
    method="keywords",
    dataset_digest="d" * 64,
    metrics={"macro_f1": 0.95},
    decision=Decision(accepted=None, reason="for the test", checks=()),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"), "small")
    lake.bootstrap(small_loop())
    return lake


@pytest.fixture
def registry(lake: Lake) -> Registry:
    return Registry(lake, Attempt("run"))


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Three different artifacts."""
    folders = [tmp_path / f"model{seed}" for seed in range(3)]
    for seed, folder in enumerate(folders):
        make_artifact(folder, LABELS, seed=seed)
    return folders


def champion_and_previous(registry: Registry) -> tuple[str, str]:
    history = registry.read()
    champion, previous = history.alias("champion"), history.alias("previous")
    assert champion
    assert previous
    return champion.name, previous.name


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


def test_promotion_moves_the_old_champion_to_previous_and_rollback_swaps_them(
    registry: Registry, models: list[Path]
) -> None:
    promote_two(registry, models)
    assert champion_and_previous(registry) == ("v2", "v1")

    assert registry.rollback("answers look wrong").name == "v1"
    assert champion_and_previous(registry) == ("v1", "v2")
    assert [(m.alias, m.version, m.previous) for m in registry.read().moves] == [
        ("champion", "v1", None),
        ("champion", "v2", "v1"),
        ("previous", "v1", None),
        ("champion", "v1", "v2"),
        ("previous", "v2", "v1"),
    ]
    assert registry.read().moves[-1].reason == "answers look wrong"


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
    with pytest.raises(ConfigurationError, match="found: champion v1, no previous"):
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
