"""A new champion takes over whole or not at all; a bad one changes nothing but what is said about it."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lakeloop.artifact import ArtifactDescription, write_manifest
from lakeloop.inference.predictor import Predictor
from lakeloop.serving import watch as watch_module
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.watcher import Watcher
from tests.support.serving import FolderSource, value
from tests.support.waiting import until
from tests.support.watching import Champion


def test_no_release_is_no_model_and_no_failure(champion: Champion, metrics: ServerMetrics) -> None:
    champion.poll()

    assert champion.current is None
    assert champion.refused is None
    assert value(metrics, "lakeloop_model_load_failures_total", loop="news", kind="postponed") == 0


def test_a_new_champion_is_taken_into_use_once(
    champion: Champion, source: FolderSource, metrics: ServerMetrics
) -> None:
    release = source.promote(1)

    champion.poll()
    first = champion.current
    champion.poll()

    assert first is not None
    assert champion.current is first
    assert first.release == release
    assert source.fetched == ["v1"]
    assert value(metrics, "lakeloop_model_info", loop="news", version="v1", digest=release.digest) == 1


def test_the_old_version_is_freed_when_its_last_request_lets_go(
    champion: Champion, source: FolderSource
) -> None:
    source.promote(1)
    champion.poll()
    in_flight = champion.current
    assert in_flight is not None
    old = weakref.ref(in_flight.predictor)

    source.promote(2)
    champion.poll()
    assert in_flight.predictor.predict(["tech"])[0].label == "tech"

    del in_flight
    gc.collect()
    assert old() is None


def test_a_damaged_artifact_is_refused_and_the_old_version_stays(
    champion: Champion, source: FolderSource, metrics: ServerMetrics
) -> None:
    source.promote(1)
    champion.poll()
    bad = source.promote(2)
    (source.root / "v2" / "model.onnx").write_bytes(b"other")

    champion.poll()

    assert champion.current is not None
    assert champion.current.release.version == "v1"
    assert champion.refused is not None
    assert champion.refused.release == bad
    assert "model.onnx is not the file that was registered" in champion.refused.reason
    assert value(metrics, "lakeloop_model_load_failures_total", loop="news", kind="refused") == 1


def test_an_intact_artifact_that_is_not_the_registered_one_is_refused(
    champion: Champion, source: FolderSource
) -> None:
    source.promote(1)
    source.promote(2)
    (source.root / "v2").rename(source.root / "aside")
    (source.root / "v1").rename(source.root / "v2")

    champion.poll()

    assert champion.current is None
    assert champion.refused is not None
    assert "not the artifact that is meant" in champion.refused.reason


def test_a_model_that_cannot_read_a_longest_text_is_refused(champion: Champion, source: FolderSource) -> None:
    before = source.promote(1)
    folder = source.root / "v1"
    digest = limit_positions(folder, 20)
    source.release = replace(before, digest=digest)
    assert Predictor(folder).predict(["tech"])[0].label == "tech"

    champion.poll()

    assert champion.current is None
    assert champion.refused is not None
    assert "the model fails on its input" in champion.refused.reason
    assert "at 32 tokens" in champion.refused.reason


def limit_positions(folder: Path, limit: int) -> str:
    """Give the model of an artifact `limit` positions, as encoders have; returns the new digest."""
    model = onnx.load(folder / "model.onnx")
    graph = model.graph
    table = np.zeros((limit, 2), dtype=np.float32)
    constants = {"positions": table, "zero": np.array([0]), "one": np.array([1]), "two": np.array([2])}
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    at = [node.op_type for node in graph.node].index("Mul")
    graph.node[at].input[0] = "placed"
    for node in (
        onnx.helper.make_node("Add", ["said", "places"], ["placed"]),
        onnx.helper.make_node("Slice", ["positions", "zero", "width"], ["places"]),
        onnx.helper.make_node("Slice", ["shape", "one", "two"], ["width"]),
        onnx.helper.make_node("Shape", ["input_ids"], ["shape"]),
    ):
        graph.node.insert(at, node)
    onnx.save(model, folder / "model.onnx")
    return write_manifest(folder, open_description(folder)).digest


def open_description(folder: Path) -> ArtifactDescription:
    return ArtifactDescription.model_validate_json((folder / "description.json").read_bytes())


def test_a_refused_version_is_not_fetched_again_until_the_registry_changes(
    champion: Champion, source: FolderSource
) -> None:
    source.promote(1)
    champion.poll()
    source.promote(2)
    damaged = source.root / "v2" / "tokenizer.json"
    good = damaged.read_bytes()
    damaged.write_bytes(b"{}")
    for _ in range(5):
        champion.poll()
    assert source.fetched == ["v1", "v2"]

    damaged.write_bytes(good)
    source.promote(1)
    champion.poll()
    assert champion.refused is None
    source.promote(2)
    champion.poll()

    assert champion.current is not None
    assert champion.current.release.version == "v2"


def test_a_damaged_local_copy_is_fetched_again(
    source: FolderSource, tmp_path: Path, metrics: ServerMetrics
) -> None:
    source.promote(1)
    Champion(source, tmp_path / "cache", metrics).poll()
    (tmp_path / "cache" / "v1" / "model.onnx").write_bytes(b"half")

    restarted = Champion(source, tmp_path / "cache", metrics)
    restarted.poll()

    assert restarted.current is not None
    assert source.fetched == ["v1", "v1"]


def test_a_restart_uses_the_local_copy(source: FolderSource, tmp_path: Path, metrics: ServerMetrics) -> None:
    source.promote(1)
    Champion(source, tmp_path / "cache", metrics).poll()
    source.fetched.clear()

    restarted = Champion(source, tmp_path / "cache", metrics)
    restarted.poll()

    assert restarted.current is not None
    assert source.fetched == []


def test_a_lake_that_is_away_is_asked_ever_more_slowly_and_the_model_stays(
    champion: Champion, source: FolderSource, metrics: ServerMetrics, clock: list[float]
) -> None:
    source.promote(1)
    champion.poll()
    source.promote(2)
    source.failure = OSError("no route to host")
    for _ in range(1000):
        clock[0] += 0.01
        champion.poll()

    assert champion.current is not None
    assert champion.current.release.version == "v1"
    assert champion.refused is None
    failures = value(metrics, "lakeloop_model_load_failures_total", loop="news", kind="postponed")
    assert 5 <= failures <= 12

    source.failure = None
    clock[0] += 60
    champion.poll()
    assert champion.current.release.version == "v2"


def test_a_lake_that_is_away_for_a_day_does_not_end_the_watcher(
    champion: Champion, source: FolderSource, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module.log, "disabled", True)  # tracebacks would be most of the time
    source.promote(1)
    source.failure = OSError("no route to host")
    for _ in range(1500):
        clock[0] += 60
        champion.poll()
    source.failure = None
    clock[0] += 60
    champion.poll()

    assert champion.current is not None


def test_a_look_without_news_ends_a_row_of_failures(
    champion: Champion, source: FolderSource, metrics: ServerMetrics, clock: list[float]
) -> None:
    source.promote(1)
    champion.poll()
    for _ in range(10):  # hours between them, each shorter than one look
        for failure in (OSError("no route to host"), None):
            source.failure = failure
            clock[0] += 0.02
            champion.poll()

    assert value(metrics, "lakeloop_model_load_failures_total", loop="news", kind="postponed") == 10


def test_only_this_version_and_the_one_before_stay_on_disk(
    champion: Champion, source: FolderSource, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        source.promote(number)
        champion.poll()

    assert sorted(folder.name for folder in (tmp_path / "cache").glob("v*")) == ["v2", "v3"]


def test_a_rollback_is_a_swap_like_any_other(champion: Champion, source: FolderSource) -> None:
    for number in (1, 2, 1):
        source.promote(number)
        champion.poll()

    assert champion.current is not None
    assert champion.current.release.version == "v1"
    assert source.fetched == ["v1", "v2"]


def test_one_loops_trouble_does_not_keep_another_from_its_champion(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    away, damaged, good = (FolderSource(tmp_path / name) for name in ("away", "damaged", "good"))
    away.failure = OSError("no route to host")
    damaged.promote(1)
    (damaged.root / "v1" / "model.onnx").write_bytes(b"other")
    good.promote(1)
    champions = [
        Champion(source, tmp_path / f"cache-{n}", metrics) for n, source in enumerate((away, damaged, good))
    ]
    watcher = Watcher([champion.watch for champion in champions], poll_seconds=0.01)
    watcher.start()
    until(lambda: champions[2].current)
    good.promote(2)
    until(lambda: (current := champions[2].current) and current.release.version == "v2")
    watcher.stop()

    assert [champion.current is None for champion in champions] == [True, True, False]
    assert champions[0].slots.champion.postponed == "OSError: no route to host"
    assert champions[1].refused is not None
    assert all(champion.slots.champion.looked for champion in champions)
