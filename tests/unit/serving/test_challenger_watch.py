"""The version beside the champion comes, wins or goes as the registry says; the champion never suffers."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.slots import Release
from lakeloop.serving.watcher import Watcher
from tests.support.serving import FolderSource, value
from tests.support.waiting import until
from tests.support.watching import Champion


def test_a_challenger_that_wins_is_used_as_it_was_loaded(
    champion: Champion, source: FolderSource, metrics: ServerMetrics
) -> None:
    source.promote(1)
    champion.poll()
    tried = source.try_beside(2, share=0.1)
    champion.poll()
    challenger = champion.challenger
    assert challenger is not None
    assert (challenger.release, challenger.trial.share) == (tried, 0.1)
    assert champion.current is not None
    assert champion.current.release.version == "v1"
    labels = {"loop": "news", "version": "v2", "digest": tried.digest, "phase": "canary"}
    assert value(metrics, "lakeloop_challenger_info", **labels) == 1

    source.promote(2)
    source.end_trial()
    champion.watch.read()

    assert champion.current is challenger.model
    assert champion.challenger is None
    assert source.fetched == ["v1", "v2"]
    assert metrics.registry.get_sample_value("lakeloop_challenger_info", labels) is None


def test_the_next_phase_keeps_the_model_and_begins_to_count(champion: Champion, source: FolderSource) -> None:
    source.promote(1)
    source.try_beside(2, "shadow")
    champion.poll()
    shadow = champion.challenger
    assert shadow is not None
    shadow.tally.failed("no")
    champion.poll()
    assert champion.challenger is shadow

    source.try_beside(2, "canary", 0.1)
    champion.poll()

    canary = champion.challenger
    assert canary is not None
    assert canary.model is shadow.model is not None
    assert (canary.trial.phase, canary.tally.requests) == ("canary", 0)
    assert champion.slots.challenger.asked_in("shadow") is None
    assert champion.slots.challenger.asked_in("canary") is canary


def test_the_copies_of_the_champion_the_one_before_and_the_challenger_stay_on_disk(
    champion: Champion, source: FolderSource, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        source.promote(number)
        champion.poll()
    for number in (4, 5):
        source.try_beside(number, share=0.1)
        champion.poll()
    assert sorted(folder.name for folder in (tmp_path / "cache").glob("v*")) == ["v2", "v3", "v5"]

    source.end_trial()
    champion.poll()
    assert sorted(folder.name for folder in (tmp_path / "cache").glob("v*")) == ["v2", "v3"]


def test_a_challenger_that_cannot_be_fetched_is_tried_again_and_is_nothing_to_the_champion(
    champion: Champion, source: FolderSource, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    source.promote(1)
    champion.poll()
    source.try_beside(2, "shadow")
    with monkeypatch.context() as away:
        away.setattr(source, "fetch", no_route)
        champion.poll()
        held = champion.challenger
        assert held is not None
        assert (held.model, held.refused, held.postponed) == (None, None, "OSError: no route to host")
        assert champion.slots.champion.postponed == ""

    champion.poll()
    assert champion.challenger is held, "not before its time"
    clock[0] += 0.01
    champion.poll()
    found = champion.challenger
    assert found is not None
    assert found.model is not None
    assert found.postponed == ""


def no_route(*_: object) -> None:
    raise OSError("no route to host")


def test_while_there_is_a_challenger_a_registry_that_is_away_is_asked_at_the_same_pace(
    champion: Champion, source: FolderSource, clock: list[float], metrics: ServerMetrics
) -> None:
    source.promote(1)
    source.try_beside(2, share=0.1)
    champion.poll()
    source.failure = OSError("no route to host")
    for _ in range(100):
        clock[0] += 0.0101
        champion.poll()

    assert value(metrics, "lakeloop_model_load_failures_total", loop="news", kind="postponed") == 100
    source.failure = None
    source.end_trial()
    clock[0] += 0.0101
    champion.poll()
    assert champion.challenger is None


def test_a_fetch_that_takes_long_keeps_no_trial_from_its_end(
    champion: Champion, source: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.promote(1)
    source.try_beside(2, share=0.1)
    champion.poll()
    go_on, fetch = threading.Event(), source.fetch

    def slow(release: Release, folder: Path) -> None:
        go_on.wait(120)
        fetch(release, folder)

    monkeypatch.setattr(source, "fetch", slow)
    source.try_beside(3, share=0.1)
    watcher = Watcher([champion.watch], poll_seconds=0.01)
    watcher.start()
    until(lambda: (tried := champion.challenger) and tried.release.version == "v3")
    source.end_trial()
    until(lambda: champion.challenger is None)
    assert not go_on.is_set()

    source.promote(3)  # by hand, while it is loaded to be tried
    time.sleep(0.1)
    go_on.set()
    until(lambda: champion.current and champion.current.release.version == "v3")
    watcher.stop()
    assert source.fetched == ["v1", "v2", "v3"]
