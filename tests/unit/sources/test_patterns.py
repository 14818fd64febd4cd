"""Which paths fit a pattern, and that no pattern leads out of the allowed folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources import patterns
from lakeloop.sources.patterns import PathPattern, whole_pattern

DAY = "2026-11-16"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "project"
    project.mkdir()
    return Settings(root=project)


def put(settings: Settings, *names: str) -> None:
    for name in names:
        (settings.root / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.root / name).touch()


def names(settings: Settings, pattern: str, day: str | None = DAY) -> list[str]:
    return [match.name for match in PathPattern(pattern, settings).matches(day)]


def test_a_day_has_the_files_whose_names_fit_in_the_order_of_their_names(settings: Settings) -> None:
    put(settings, f"d/{DAY}/b.csv", f"d/{DAY}/a.csv", f"d/{DAY}/a.csv.part", f"d/{DAY}/.c.csv", "d/x/d.csv")
    assert names(settings, "d/{partition}/*.csv") == [f"d/{DAY}/a.csv", f"d/{DAY}/b.csv"]
    assert names(settings, "d/{partition}/?.csv") == [f"d/{DAY}/a.csv", f"d/{DAY}/b.csv"]
    assert names(settings, "d/*/d.csv", None) == ["d/x/d.csv"]


def test_folders_of_any_depth_are_two_stars(settings: Settings) -> None:
    put(settings, f"d/{DAY}.csv", f"d/a/{DAY}.csv", f"d/a/b/{DAY}.csv", f"d/.hidden/{DAY}.csv")
    expected = [f"d/{DAY}.csv", f"d/a/b/{DAY}.csv", f"d/a/{DAY}.csv"]
    assert sorted(names(settings, "d/**/{partition}.csv")) == sorted(expected)
    assert sorted(names(settings, "d/**/**/{partition}.csv")) == sorted(expected)


def test_days_are_found_in_folders_and_names_and_must_be_the_same(settings: Settings) -> None:
    put(settings, "d/north/2026-11-16-1.jsonl", "d/south/2026-11-17-1.jsonl", "d/south/2026-02-30-1.jsonl")
    put(settings, "e/2026-11-16/x_2026-11-16.csv", "e/2026-11-17/x_2026-11-16.csv")
    days = [m.day for m in PathPattern("d/*/{partition}-*.jsonl", settings).matches()]
    assert days == ["2026-11-16", "2026-11-17"]
    assert [m.day for m in PathPattern("e/{partition}/*_{partition}.csv", settings).matches()] == [DAY]


def test_what_lies_beside_data_is_no_data_and_a_drop_may_be_called_so(settings: Settings) -> None:
    put(
        settings,
        f"d/{DAY}/_SUCCESS",
        f"d/{DAY}/.part.crc",
        f"d/{DAY}/part",
        f"d/{DAY}/_part",
        "d/_delta_log/x/y",
    )
    found = [f"d/{DAY}/_part", f"d/{DAY}/part"]
    assert sorted(names(settings, "d/{partition}/*")) == found
    assert sorted(names(settings, "d/**/*part")) == found
    assert names(settings, "d/{partition}/_SUC*") == [f"d/{DAY}/_SUCCESS"]
    everything = [f"d/{DAY}/{name}" for name in ("_SUCCESS", ".part.crc", "part", "_part")]
    pattern = whole_pattern("d/{partition}/*")
    assert sorted(name for name in everything if pattern.fullmatch(name)) == found


def test_characters_that_mean_something_elsewhere_are_letters_here(settings: Settings) -> None:
    put(settings, f"d/[a]+(b)/{DAY}.csv", f"d/a/{DAY}.csv", "d/n\nl/x.csv")
    assert names(settings, "d/[a]+(b)/{partition}.*") == [f"d/[a]+(b)/{DAY}.csv"]
    assert names(settings, "d/*l/x.csv") == ["d/n\nl/x.csv"]


def test_a_folder_that_leads_out_is_refused_or_has_nothing(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "outside/a").mkdir(parents=True)
    (tmp_path / "outside/a/x.csv").touch()
    (settings.root / "d").mkdir()
    (settings.root / "d/link").symlink_to(tmp_path / "outside")
    pattern = PathPattern("d/*/*/x.csv", settings)
    with pytest.raises(ConfigurationError, match="leads out"):
        pattern.matches()
    assert pattern.matches(strict=False) == []
    with pytest.raises(ConfigurationError, match="leads out"):
        PathPattern("../outside/*/x.csv", settings).matches()
    assert names(settings, "d/**/x.csv") == []  # two stars follow no links


def test_a_pattern_that_looks_everywhere_is_stopped(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, *(f"d/{number}/x.csv" for number in range(5)))
    monkeypatch.setattr(patterns, "_MOST_FOLDERS", 3)
    with pytest.raises(ConfigurationError, match="too many folders"):
        names(settings, "d/**/x.csv")
