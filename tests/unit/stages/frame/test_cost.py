"""The sum of what trainings have cost, and the budget that ends them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakeloop.jobs.leftovers import remove_job
from lakeloop.jobs.state import JobRecord, Workdir
from lakeloop.records import StageRecord, now
from lakeloop.settings import Settings
from lakeloop.spec.identity import training_identity, weights_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.train import Train
from lakeloop.stages.frame.cost import Spent, budget_status, spent, unfinished
from tests.support.records import provenance
from tests.support.small_loop import DAYS, small_loop

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday."""
HOUR = 3600.0


def training(at: datetime = NOON, stage: str = "train-baseline", **metrics: float) -> StageRecord:
    said = provenance().model_copy(update={"started_at": at, "finished_at": at})
    return StageRecord(
        loop="small",
        stage=stage,
        partition=DAYS[0],
        status="done",
        reason="",
        metrics=metrics,
        provenance=said,
    )


def with_budget(timezone: str = "UTC", **budget: Any) -> LoopSpec:
    train = {"min_rows": 30, "budget": budget}
    return small_loop(train=train, schedule={"timezone": timezone})


def test_the_costs_of_all_trainings_are_summed_and_what_is_not_known_is_left_out() -> None:
    old = training(seconds=HOUR, cpu_seconds=2 * HOUR)  # of a version that recorded no more
    new = training(
        stage="train-finetune", seconds=HOUR, cpu_seconds=HOUR, gpu_seconds=HOUR / 2, peak_memory_mb=2048,
        energy_joules=3.6e6,
    )  # fmt: skip
    taken_again, other = training(**{"validation/f": 0.9}), training(stage="evaluate", seconds=HOUR)
    cost = spent([old, new, taken_again, other])
    assert (cost.trainings, cost.wall_hours, cost.cpu_hours, cost.gpu_hours) == (2, 2, 3, 0.5)
    assert (cost.peak_memory_mb, cost.energy_kwh) == (2048, 1)
    assert cost.sentence == "2 training jobs: 2.00 h, 3.00 CPU h, 0.50 GPU h, at most 2.0 GB, 1.000 kWh"
    without = spent([old])
    assert (without.peak_memory_mb, without.energy_kwh) == (None, None)
    assert without.sentence == "1 training job: 1.00 h, 2.00 CPU h"


def test_what_jobs_without_a_result_have_cost_counts_until_the_ledger_says_it(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, home=tmp_path / "home", loops=tmp_path)
    failed, done = (Workdir(settings.work("small", "train-a", DAYS[0]) / name) for name in ("job-1", "job-2"))
    for workdir, state in ((failed, "failed"), (done, "succeeded")):
        (workdir.spent / "rank-1").mkdir(parents=True)
        for name in ("1.json", "2.json", "rank-1/1.json"):
            (workdir.spent / name).write_text(json.dumps({"wall_seconds": HOUR, "cpu_seconds": HOUR}))
        workdir.write_record(JobRecord(state=state, fingerprint="f"))
    (failed.spent / "3.json").write_text('{"wall_sec')
    for _ in range(2):
        tries = unfinished(settings, "small")
        cost = spent([], unfinished=tries)
        assert (cost.trainings, cost.wall_hours, cost.cpu_hours) == (0, 2, 3)
        assert cost.sentence.endswith("3.00 CPU h, 2.00 h of it in jobs without a result")
        assert spent([], now() + timedelta(minutes=1), tries).cpu_hours == 0
        budget = budget_status(with_budget(cpu_hours=3, per="month"), [], tries)
        assert budget is not None
        assert budget.exhausted
        remove_job(failed.path)  # the log and the inputs go, and what was spent stays spent
    assert [path.name for path in failed.path.iterdir()] == ["spent"]


@pytest.mark.parametrize(
    ("per", "timezone", "at", "counts"),
    [
        ("week", "UTC", datetime(2026, 11, 16, 0, tzinfo=UTC), True),
        ("week", "UTC", datetime(2026, 11, 15, 23, 59, tzinfo=UTC), False),
        ("month", "UTC", datetime(2026, 11, 1, 0, tzinfo=UTC), True),
        ("month", "UTC", datetime(2026, 10, 31, 23, 59, tzinfo=UTC), False),
        ("month", "Europe/Berlin", datetime(2026, 10, 31, 23, 30, tzinfo=UTC), True),
    ],
)
def test_a_budget_counts_from_the_first_day_of_its_week_or_month(
    per: str, timezone: str, at: datetime, counts: bool
) -> None:
    loop = with_budget(timezone, cpu_hours=2, per=per)
    budget = budget_status(loop, [training(at, seconds=HOUR, cpu_seconds=3 * HOUR)], at=NOON)
    assert budget is not None
    assert budget.exhausted == counts
    assert f"{3 if counts else 0}.00 of 2 CPU h of this {per} are spent" in budget.sentence
    assert budget.since <= NOON < budget.until
    assert budget.until - budget.since == timedelta(days=7 if per == "week" else 30)


def test_either_limit_ends_the_budget_and_without_limits_there_is_none() -> None:
    entries = [training(seconds=HOUR, cpu_seconds=HOUR, gpu_seconds=HOUR)]
    budget = budget_status(with_budget(cpu_hours=10, gpu_hours=1), entries, at=NOON)
    assert budget is not None
    assert budget.exhausted
    assert budget.sentence.startswith("1.00 of 10 CPU h and 1.00 of 1 GPU h of this month")
    assert budget_status(with_budget(per="week"), entries, at=NOON) is None


def test_a_budget_decides_nothing_of_what_a_training_makes() -> None:
    rich, plain = with_budget(cpu_hours=1), with_budget()
    assert training_identity(rich) == training_identity(plain)
    candidate = plain.train.candidate("finetune")
    assert weights_of(rich, candidate) == weights_of(plain, candidate)
    assert Train().settings_of(candidate).keys() == rich.train.settings_of(candidate).keys()


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (0.0, "0 s, 0 CPU s"),
        (0.001, "3.6 s, 3.6 CPU s"),
        (0.05, "3.0 min, 3.0 CPU min"),
        (0.5, "0.50 h, 0.50 CPU h"),
    ],
)
def test_a_small_cost_is_told_in_a_unit_that_shows_it(hours: float, told: str) -> None:
    assert Spent(trainings=1, wall_hours=hours, cpu_hours=hours).sentence == f"1 training job: {told}"


def test_a_small_energy_is_told_in_watt_hours() -> None:
    assert Spent(trainings=1, energy_kwh=0.00042).sentence.endswith("0.42 Wh")
