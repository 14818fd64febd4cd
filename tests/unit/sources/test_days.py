"""Which days have a drop, from names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.settings import Settings
from lakeloop.sources.days import days_there
from lakeloop.spec.load import load_named
from lakeloop.spec.loop import LoopSpec
from tests.support.small_loop import small_loop


def files(path: str) -> LoopSpec:
    source = small_loop().source.model_dump() | {"path": path}
    return small_loop(source=source)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_days_are_those_whose_file_is_there_oldest_first(settings: Settings) -> None:
    put(settings.root, "drops/2026-11-17.jsonl", "drops/2026-11-16.jsonl", "drops/notes.jsonl")
    put(settings.root, "drops/2026-11-18.jsonl.part", "drops/2026-02-30.jsonl", "drops/12026-11-19.jsonl")
    (settings.root / "drops/2026-11-20.jsonl").mkdir()
    assert days_there(files("drops/{partition}.jsonl"), settings) == ["2026-11-16", "2026-11-17"]


def test_a_day_may_be_named_more_than_once_and_in_folders(settings: Settings) -> None:
    put(settings.root, "d/day=2026-11-16/2026-11-16.csv", "d/day=2026-11-17/2026-11-16.csv")
    put(settings.root, "d/2026-11-16_2026-11-16.csv", "d/2026-11-16_2026-11-17.csv")
    assert days_there(files("d/day={partition}/{partition}.csv"), settings) == ["2026-11-16"]
    assert days_there(files("d/{partition}_{partition}.csv"), settings) == ["2026-11-16"]


def test_a_place_that_is_not_there_has_no_days(settings: Settings) -> None:
    assert days_there(files("nowhere/{partition}.jsonl"), settings) == []
    assert days_there(files("{partition}.jsonl"), settings) == []


def test_a_link_that_leads_out_is_no_drop(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "2026-11-16.jsonl"
    outside.touch()
    (settings.root / "drops").mkdir()
    (settings.root / "drops/2026-11-16.jsonl").symlink_to(outside)
    assert days_there(files("drops/{partition}.jsonl"), settings) == []


def test_a_corpus_has_the_days_that_it_is_replayed_on(root: Path) -> None:
    settings = Settings(root=root)
    days = days_there(load_named("news", settings), settings)
    assert (days[0], days[-1], len(days)) == ("2026-11-16", "2026-11-20", 5)
