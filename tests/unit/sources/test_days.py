"""Which days a run works on when nobody named them, or only one end."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.days import days_to_run, in_short, whole_days, without_delivery
from lakeloop.spec.days import yesterday
from lakeloop.spec.reading.load import load_named
from tests.support.small_loop import DAYS, small_loop

LOOP = small_loop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def put(settings: Settings, *days: str) -> None:
    (settings.root / "drops").mkdir()
    for day in days:
        (settings.root / f"drops/{day}.jsonl").touch()


def test_without_files_only_days_that_were_named_are_run(settings: Settings) -> None:
    assert days_to_run(LOOP, settings, None, None) == []
    assert days_to_run(LOOP, settings, DAYS[0], DAYS[2]) == list(DAYS)
    assert days_to_run(LOOP, settings, None, DAYS[0]) == [DAYS[0]]
    assert days_to_run(LOOP, settings, yesterday("UTC"), None) == [yesterday("UTC")]


def test_without_named_days_those_that_have_a_file_are_run(settings: Settings) -> None:
    put(settings, "2026-01-01", "2026-01-03", "9999-01-01")
    days = ["2026-01-01", "2026-01-03"]
    assert days_to_run(LOOP, settings, None, None) == days, "a day that is not over is left to the schedule"
    assert whole_days(LOOP, settings) == days


def test_of_the_days_between_those_without_a_file_are_told_and_not_run(settings: Settings) -> None:
    put(settings, "2026-01-01", "2026-01-04")
    days = days_to_run(LOOP, settings, "2026-01-01", "2026-01-06")
    assert days == ["2026-01-01", "2026-01-04", "2026-01-06"], "a day that a person names is run"
    assert without_delivery(days) == ["2026-01-02", "2026-01-03", "2026-01-05"]
    assert in_short(without_delivery(days)) == "2026-01-02, 2026-01-03, 2026-01-05"
    assert without_delivery([]) == []


def test_the_end_that_is_not_named_is_that_of_the_files(settings: Settings) -> None:
    put(settings, "2026-01-01", "2026-01-03")
    assert days_to_run(LOOP, settings, "2026-01-02", None) == ["2026-01-02", "2026-01-03"]
    assert days_to_run(LOOP, settings, None, "2026-01-02") == ["2026-01-01", "2026-01-02"]
    assert days_to_run(LOOP, settings, "2026-01-05", None) == ["2026-01-05"]
    assert days_to_run(LOOP, settings, None, "2025-12-31") == ["2025-12-31"]


def test_days_the_wrong_way_round_are_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="not a range of days"):
        days_to_run(LOOP, settings, DAYS[2], DAYS[0])


def test_a_corpus_has_the_days_that_it_is_replayed_on_whether_they_are_over_or_not(root: Path) -> None:
    settings = Settings(root=root)
    loop = load_named("news", settings)
    days = days_to_run(loop, settings, None, None)
    assert (days[0], days[-1], len(days)) == ("2026-11-16", "2026-11-20", 5)
    assert days_to_run(loop, settings, "2026-11-18", None) == days[2:]
    assert days_to_run(loop, settings, None, "2026-11-17") == days[:2]
    to_come = loop.source.model_copy(update={"start": date(9998, 1, 1)})
    assert len(whole_days(loop.model_copy(update={"source": to_come}), settings)) == 5
