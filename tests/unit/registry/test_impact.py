"""What was made of a day's rows, before and after it was published again, from a real lake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.registry.impact import Impact, impact_of
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, trained
from tests.unit.registry.test_lineage import answer, released


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """v1 from the first day, which is then published with fewer rows, and v2 from these and a second."""
    context = small_context(tmp_path)
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    released(context, DAYS[0], seed=1, confuse={"tech": "sports"})
    answer(context, DAYS[1], "v1", 7)
    publish(context, DAYS[0], mart_rows(DAYS[0], 50))
    publish(context, DAYS[1], mart_rows(DAYS[1], 60))
    released(context, DAYS[1], seed=2)
    return context


def impact(context: StageContext, day: str) -> Impact:
    return impact_of(context.lake, Registry(context.lake, context.attempt).read(), day)


def test_each_state_of_a_day_names_what_was_made_of_it(context: StageContext) -> None:
    before, now = impact(context, DAYS[0]).editions
    assert (before.rows, now.rows) == (60, 50)
    assert before.digest != now.digest
    assert before.replaced_at == now.published_at
    assert now.replaced_at is None
    (old,), (new,) = before.datasets, now.datasets
    assert [one.candidate for one in old.trainings] == ["baseline", "finetune"]
    assert [(one.version, one.answers) for one in before.versions] == [("v1", 7)]
    assert [(one.version, one.aliases) for one in now.versions] == [("v2", ("champion",))]
    assert (old.days, new.days) == (DAYS[0], f"{DAYS[0]}..{DAYS[1]}")


def test_versions_of_rows_that_are_published_no_more_are_named(context: StageContext) -> None:
    assert [one.version for one in impact(context, DAYS[0]).outdated] == ["v1"]
    assert impact(context, DAYS[1]).outdated == ()


def test_the_same_rows_again_are_no_other_state(context: StageContext) -> None:
    publish(context, DAYS[1], mart_rows(DAYS[1], 60))
    assert len(impact(context, DAYS[1]).editions) == 1


def test_an_experiment_is_told_as_one(context: StageContext) -> None:
    apart = replace(context, experiment="fast")
    dataset(apart, DAYS[1])
    trained(apart, "baseline", DAYS[1], seed=5, confuse={"tech": "sports"})
    (now,) = [each for each in impact(context, DAYS[0]).editions if not each.replaced_at]
    found = [one for data in now.datasets for one in data.trainings if one.experiment]
    assert [(one.experiment, one.version) for one in found] == [("fast", "")]


def test_a_day_that_was_never_published_has_no_state(context: StageContext) -> None:
    assert impact(context, "2026-01-01").editions == ()
