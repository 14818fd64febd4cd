"""Upkeep on a real lake: fewer files, the same rows, pinned versions readable, leftovers gone."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from lakeloop.disk.base import Place
from lakeloop.disk.clean import look
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.upkeep import remove_leftovers, tidy_table
from lakeloop.locks import locked
from lakeloop.records import now
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from lakeloop.stages.watch.maintain import maintain
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, trained

WEEK = timedelta(days=7)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return small_context(tmp_path)


@pytest.fixture
def store(context: StageContext) -> DeltaStore:
    return DeltaStore(f"{context.settings.lake}/small")


def sizes(home: Path) -> dict[str, int]:
    """Name of each file below `home` -> bytes; one that goes meanwhile is none."""
    found = {}
    for path in home.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                found[str(path.relative_to(home))] = path.stat().st_size
    return found


def test_small_files_become_one_and_the_rows_stay(context: StageContext) -> None:
    for day in DAYS:
        publish(context, day, mart_rows(day, 5))
    before = context.lake.read("ledger", stage="validate").sort_by("partition")
    assert len(context.lake.dataset("ledger", stage="validate").files) == len(DAYS)
    digests = [context.lake.digest("mart", partition=day) for day in DAYS]

    record = maintain(context, DAYS[2])
    assert record.status == "done"
    assert record.metrics["files/compacted"] >= len(DAYS)
    assert record.metrics["files/deleted"] == 0
    assert len(context.lake.dataset("ledger", stage="validate").files) == 1
    assert context.lake.read("ledger", stage="validate").sort_by("partition") == before
    assert [context.lake.digest("mart", partition=day) for day in DAYS] == digests


def test_a_version_within_the_retention_stays_readable(context: StageContext) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 5))
    pinned = context.lake.version("mart")
    publish(context, DAYS[0], mart_rows(DAYS[0], 7))
    maintain(context, DAYS[0])
    assert context.lake.read("mart", version=pinned).num_rows == 5


def test_what_is_older_than_the_retention_goes(context: StageContext, store: DeltaStore) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 5))
    publish(context, DAYS[0], mart_rows(DAYS[0], 7))
    time.sleep(0.01)
    assert tidy_table(store, "mart", timedelta(0)).deleted == 1
    assert context.lake.read("mart").num_rows == 7
    version = context.lake.version("mart")
    assert tidy_table(store, "mart", timedelta(0)).deleted == 0
    assert context.lake.version("mart") == version


def test_files_of_killed_writers_are_removed_when_they_are_old(
    context: StageContext, store: DeltaStore
) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 5))
    root = Path(context.settings.lake) / "small"
    orphan = root / "mart" / f"partition={DAYS[0]}" / "part-00000-killed.parquet"
    staging = orphan.with_name(f"{orphan.name}#1")
    copy = root / "files" / "models" / ".v1.abc.tmp"
    copy.mkdir(parents=True)
    young = orphan.with_name("part-00001-at-work.parquet#1")
    for path in (orphan, staging, young, copy / "model.onnx"):
        path.write_bytes(b"half")
    eight_days_ago = time.time() - 8 * 24 * 3600
    for path in (orphan, staging, copy):
        os.utime(path, (eight_days_ago, eight_days_ago))

    assert tidy_table(store, "mart", WEEK).deleted == 1
    assert remove_leftovers(store, WEEK) == [
        "files/models/.v1.abc.tmp",
        f"mart/partition={DAYS[0]}/part-00000-killed.parquet#1",
    ]
    assert young.exists()
    assert not orphan.exists()
    assert context.lake.read("mart").num_rows == 5


def test_checkpoints_that_no_training_went_on_with_are_removed(context: StageContext) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 5))
    job = context.work("train-finetune", DAYS[0]) / "job-0123"
    for name in ("inputs", "checkpoints"):
        (job / name).mkdir(parents=True)
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(job / "checkpoints", (eight_days_ago, eight_days_ago))

    record = maintain(context, DAYS[0])
    assert "(checkpoints 1)" in record.reason
    assert (job / "inputs").exists()
    assert not (job / "checkpoints").exists()


def test_what_is_due_is_found_in_the_lake(context: StageContext) -> None:
    assert work_left(context) == []
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    assert [(step.stage, step.partition) for step in work_left(context)] == [("train", DAYS[0])]
    dataset(context, DAYS[0])
    trained(context, "baseline", DAYS[0])
    evaluate(context, DAYS[0])
    assert [(step.stage, step.partition) for step in work_left(context)] == [("release", DAYS[0])]
    release(context, DAYS[0])
    (step,) = work_left(context)
    assert (step.stage, step.partition) == ("rollout", DAYS[0])
    assert step.reason == "v1 is champion and not rolled out; nothing was rolled out yet"
    record = maintain(context, DAYS[0])
    assert record.metrics["pending"] == 1.0


def test_candidates_that_nobody_needs_are_removed_and_counted(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, day in enumerate(DAYS[:2]):
        publish(context, day, mart_rows(day, 60))
        dataset(context, day)
        trained(context, "baseline", day, seed=number)
        evaluate(context, day)
        release(context, day)
    assert maintain(context, DAYS[1]).metrics["models/removed"] == 0
    later = now() + timedelta(days=31)
    monkeypatch.setattr("lakeloop.stages.watch.maintain.now", lambda: later)
    record = maintain(context, DAYS[1])
    assert record.metrics["models/removed"] == 1
    assert record.metrics["models/bytes_removed"] > 1000
    assert "(candidates 1, days 2)" in record.reason


def test_everything_in_the_home_belongs_to_a_kind_and_is_counted(context: StageContext) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    trained(context, "baseline", DAYS[0])
    evaluate(context, DAYS[0])
    release(context, DAYS[0])
    record = maintain(context, DAYS[0])
    place = Place(context.settings, (context.loop,), time.time())
    before = sizes(context.settings.home)  # the mirror of W&B may be at work
    elsewhere = ("temporary", "cache")  # which tests share
    counted = sum(each.bytes for each in look(place) if each.kind not in elsewhere)
    after = sizes(context.settings.home)
    largest = sorted(before, key=lambda name: -before[name])[:9]
    assert sum(before.values()) - counted < 5000, f"manifests and locks, not {largest}"
    assert counted - sum(after.values()) < 5000, "counted twice"
    assert record.metrics["disk/bytes"] > 10_000
    assert record.metrics["disk/candidates"] > 1000


def test_where_another_loop_is_cleaning_for_long_the_rest_is_done(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeloop.disk.clean._WAIT_SECONDS", 0.1)
    with locked(context.settings.home / ".disk.lock"):
        assert "0 MB freed;" in maintain(context, DAYS[0]).reason
