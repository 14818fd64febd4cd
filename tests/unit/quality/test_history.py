"""A day beside the days before it: what is unusual is told, and what is not, or cannot be known, is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from lakeloop.quality.checkpoint import run_checks
from lakeloop.quality.expectations import ACCOUNT, checks_of
from lakeloop.quality.history import FIGURES, Aspect, compare, figures
from lakeloop.quality.profile import MOST_VALUES, Profile, take_profile
from lakeloop.quality.rows import give_verdicts
from lakeloop.quality.usual import bounds_of_amount, quantile_of_t
from lakeloop.scratch.duckdb import fill, open_duckdb
from lakeloop.spec.history import History
from tests.support.small_loop import small_loop
from tests.unit.quality.conftest import mart_table

MONDAY = date(2026, 9, 7)
TODAY = MONDAY + timedelta(days=28)


def profile(rows: int, by: np.random.Generator | None = None, **changes: object) -> Profile:
    """A quiet day of `rows`: two thirds tech, 5 % of them without a size."""
    tech, nulls = (rows * 2 // 3, rows // 20)
    if by is not None:
        tech, nulls = int(by.binomial(rows, 2 / 3)), int(by.binomial(rows, 0.05))
    values = {"label": {"tech": tech, "sports": rows - tech}}
    quiet = Profile(rows, rows, 0, {"label": 0, "size": nulls}, values, {"label": 2}, age_hours=0.1)
    return replace(quiet, **changes)  # type: ignore[arg-type]


def before(days: int, rows: int = 600, weekend: float = 1.0) -> list[tuple[str, Profile]]:
    by, found = np.random.default_rng(3), []
    for number in range(28 - days, 28):
        day = MONDAY + timedelta(days=number)
        mean = rows * (weekend if day.weekday() >= 5 else 1.0)
        found.append((day.isoformat(), profile(int(by.normal(mean, mean / 20)), by)))
    return found


def unusual(today: Profile, past: list[tuple[str, Profile]], rules: History | None = None) -> dict[str, str]:
    """Aspects that are unusual -> the first of what is, in words."""
    aspects = compare(TODAY.isoformat(), today, past, rules or History())
    told = {aspect.name: [one.words for one in aspect.compared if one.unusual] for aspect in aspects}
    return {name: words[0] for name, words in told.items() if words}


def test_a_day_like_those_before_is_told_of_nothing() -> None:
    assert unusual(profile(610), before(28)) == {}


@pytest.mark.parametrize(
    ("today", "told"),
    [
        (profile(300), "history_volume"),
        (profile(600, nulls={"label": 0, "size": 300}), "history_nulls_size"),
        (profile(600, nulls={"label": 4, "size": 30}), "history_nulls_label"),
        (profile(600, lines=700, quarantined=100), "history_quarantined"),
        (profile(600, age_hours=12.0), "history_freshness"),
        (profile(600, values={"label": {"sports": 600}}, distinct={"label": 1}), "history_shares_label"),
    ],
)
def test_what_is_unusual_is_told_by_its_own_check(today: Profile, told: str) -> None:
    assert set(unusual(today, before(28))) == {told}


def test_a_new_value_is_told_as_new_and_a_rare_one_on_a_small_day_is_not() -> None:
    labels = {"tech": 300, "sports": 180, "space": 120}
    said = unusual(profile(600, values={"label": labels}, distinct={"label": 3}), before(28))
    assert said["history_shares_label"] == "space 20.00% (on none of the days before)"
    small = {"tech": 19, "sports": 10, "space": 1}
    assert unusual(profile(30, values={"label": small}, distinct={"label": 3}), before(28, rows=30)) == {}


def test_a_weekday_is_compared_with_itself_where_weekdays_differ() -> None:
    past = before(28, weekend=0.2)
    assert "history_volume" in unusual(profile(120), past), "a Monday like a Sunday"
    assert "history_volume" not in unusual(profile(600), past)
    sunday = (MONDAY + timedelta(days=27)).isoformat()
    (volume, *_) = compare(sunday, profile(120), past[:-1], History())
    assert not volume.compared[0].unusual


def test_with_too_few_days_it_says_so_and_nothing_passes_in_silence() -> None:
    aspects = compare(TODAY.isoformat(), profile(10), before(3), History())
    assert {aspect.days for aspect in aspects} == {3}
    assert all(aspect.compared == () for aspect in aspects)
    assert len(aspects) >= 6


def test_only_what_is_asked_for_is_compared() -> None:
    rules = History(volume=False, freshness=False, nulls=False, quarantined=False)
    aspects = compare(TODAY.isoformat(), profile(600), before(28), rules)
    assert [aspect.name for aspect in aspects] == ["history_shares_label"]


def test_odd_days_among_those_before_hide_nothing_and_alarm_nobody() -> None:
    past = before(28)
    for number in (5, 20):
        past[number] = (past[number][0], profile(9, nulls={"label": 9, "size": 9}))
    assert unusual(profile(600), past) == {}
    assert set(unusual(profile(300), past)) == {"history_volume"}


def test_a_column_that_days_before_did_not_have_waits_for_its_own_days() -> None:
    today = profile(600, nulls={"label": 0, "size": 30, "colour": 600})
    colour = compare(TODAY.isoformat(), today, before(28), History())
    assert [aspect.days for aspect in colour if aspect.name == "history_nulls_colour"] == [0]


def test_of_many_values_those_that_were_not_counted_are_not_taken_for_none() -> None:
    past = [(day, replace(one, distinct={"label": MOST_VALUES + 9})) for day, one in before(28)]
    labels = {"tech": 390, "sports": 190, "space": 20}
    today = profile(600, values={"label": labels}, distinct={"label": 3})
    assert "history_shares_label" in unusual(today, before(28))
    assert unusual(today, past) == {}


def test_constant_days_leave_room_for_chance() -> None:
    bounds = bounds_of_amount([100.0] * 28, [n % 7 for n in range(28)], 0, 0.001, 0.1)
    assert 55 < bounds.low < 80
    assert 120 < bounds.high < 180
    assert quantile_of_t(0.0005, 21) == pytest.approx(3.819, rel=1e-3)


def test_a_profile_is_kept_and_read_as_it_was(connection: duckdb.DuckDBPyConnection) -> None:
    loop = small_loop()
    rows = [{"label": "tech"}, {"label": "it's"}, {"text": None}, {}, {"label": "sports"}]
    give_verdicts(connection, mart_table(rows), loop)
    found = take_profile(connection, loop, "2026-11-16", lines=7, quarantined=2)
    assert found == Profile(
        3, 7, 2, {"text": 0, "label": 0, "event_time": 3}, {"label": {"tech": 2, "sports": 1}}, {"label": 2}
    )
    assert Profile.of(found.json()) == found
    assert Profile.of("") is None


@pytest.mark.slow
def test_comparisons_are_expectations_and_too_little_history_is_neither_passed_nor_failed(
    tmp_path: Path,
) -> None:
    rules = {"least_days": 5, "severity": "batch"}
    loop = small_loop(checks={"history": rules})
    past = before(28)

    def audited(name: str, aspects: tuple[Aspect, ...], days: int) -> dict[str, tuple[bool, bool, str]]:
        file = tmp_path / f"{name}.duckdb"
        with open_duckdb(file) as connection:
            give_verdicts(connection, mart_table([{}, {}]), loop)
            fill(connection, "main", ACCOUNT, pa.table({"quarantined_share": [0.0]}))
            fill(connection, "main", FIGURES, pa.Table.from_pylist([figures(aspects, days)]))
        checks = run_checks(file, checks_of(loop, aspects), name=name).checks
        return {one.name: (one.success, one.judged, one.found) for one in checks if "history" in one.name}

    today = profile(600, nulls={"label": 0, "size": 300})
    few = compare(TODAY.isoformat(), today, past[-3:], loop.checks.history or History())
    assert set(audited("few", few, 3).values()) == {(True, False, "not enough history: 3 of 5 days")}
    found = audited("all", compare(TODAY.isoformat(), today, past, History()), 28)
    assert found["history_nulls_size"] == (False, True, "50.00%")
    assert found["history_shares_label"] == (True, True, "each of 2 value(s) is usual")
    assert found["history_volume"] == (True, True, "600")
