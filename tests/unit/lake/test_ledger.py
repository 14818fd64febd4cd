"""The ledger: one entry for each end, and "done" only while the output is there."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from lakeloop.attempt import Attempt
from lakeloop.lake.draft import Published
from lakeloop.lake.store import Lake
from lakeloop.lake.upkeep import tidy_table
from lakeloop.records import Counts, StageRecord
from tests.support.records import NOON, provenance
from tests.support.small_loop import MART, mart_rows, small_loop

DAY, OTHER_DAY = "2026-11-16", "2026-11-17"


def record(minute: int = 0, **changes: Any) -> StageRecord:
    origin = provenance(started_at=NOON + timedelta(minutes=minute))
    fields = {"loop": "small", "stage": "validate", "partition": DAY, "status": "done", "reason": "3 rows"}
    return StageRecord.model_validate({**fields, "fingerprint": "A", "provenance": origin, **changes})


def publish(lake: Lake, count: int) -> Published:
    fence = lake.claim("validate", DAY, Attempt("run"))
    rows = pa.Table.from_pylist(mart_rows(DAY, count), MART)
    return lake.replace("mart", rows, where={"partition": DAY}, fence=fence)


def made_as(fingerprint: str) -> Callable[[StageRecord], bool]:
    return lambda found: found.fingerprint == fingerprint


def test_a_record_comes_back_whole(lake: Lake) -> None:
    written = record(
        counts=Counts(read=3, accepted=2, quarantined=1), metrics={"share": 0.5}, inputs={"a": "b"}
    )
    lake.ledger.record(written)
    assert lake.ledger.latest("validate", DAY) == written
    row = lake.read("ledger").to_pylist()[0]
    assert (row["read"], row["accepted"], row["quarantined"], row["duplicates"]) == (3, 2, 1, 0)
    assert row["finished_at"] == NOON


def test_the_same_record_is_one_entry(lake: Lake) -> None:
    first = lake.ledger.record(record())
    assert lake.ledger.record(record()) == first
    assert lake.ledger.record(record(minute=1)) != first
    assert lake.read("ledger").num_rows == 2


def test_the_latest_entry_is_the_one_that_arrived_last_whatever_the_clocks_say(lake: Lake) -> None:
    for minute in (5, 9, 7):
        lake.ledger.record(record(minute=minute, reason=f"minute {minute}"))
    latest = lake.ledger.latest("validate", DAY)
    assert latest is not None
    assert latest.reason == "minute 7"
    assert [entry.reason for entry in lake.ledger.entries()] == ["minute 5", "minute 9", "minute 7"]


def test_entries_are_found_by_stage_partition_and_status(lake: Lake) -> None:
    lake.ledger.record(record(minute=0))
    lake.ledger.record(record(minute=1, partition=OTHER_DAY, status="skipped"))
    lake.ledger.record(record(minute=2, stage="ingest", status="refused"))

    def minutes(entries: list[StageRecord]) -> list[int]:
        return [entry.provenance.finished_at.minute for entry in entries]

    assert minutes(lake.ledger.entries("validate")) == [0, 1]
    assert minutes(lake.ledger.entries(partition=DAY)) == [0, 2]
    assert minutes(lake.ledger.entries(status="skipped")) == [1]
    assert minutes(lake.ledger.entries(status=("done", "refused"))) == [0, 2]
    newest = lake.ledger.latest("validate")
    assert newest is not None
    assert newest.partition == OTHER_DAY
    assert lake.ledger.latest("train") is None
    assert lake.ledger.latest("validate", DAY, "refused") is None


@pytest.mark.parametrize("status", ["done", "refused"])
def test_a_result_with_this_fingerprint_is_done(lake: Lake, status: str) -> None:
    lake.ledger.record(record(status=status))
    assert lake.ledger.done("validate", DAY, made_as("A")) == record(status=status)
    assert lake.ledger.done("validate", DAY, made_as("B")) is None
    assert lake.ledger.done("validate", OTHER_DAY, made_as("A")) is None


def test_a_skip_neither_makes_nor_unmakes_a_result(lake: Lake) -> None:
    lake.ledger.record(record(minute=0, status="skipped"))
    assert lake.ledger.done("validate", DAY, made_as("A")) is None
    lake.ledger.record(record(minute=1))
    lake.ledger.record(record(minute=2, status="skipped", fingerprint="B"))
    assert lake.ledger.done("validate", DAY, made_as("A")) is not None


def test_only_the_newest_result_counts(lake: Lake) -> None:
    """After A and then B the table holds B, so A has to be done again; then it is A's once more."""
    lake.ledger.record(record(minute=0, fingerprint="A"))
    lake.ledger.record(record(minute=1, fingerprint="B"))
    assert lake.ledger.done("validate", DAY, made_as("A")) is None
    assert lake.ledger.done("validate", DAY, made_as("B")) is not None
    lake.ledger.record(record(minute=2, fingerprint="A"))
    assert lake.ledger.done("validate", DAY, made_as("A")) == record(minute=2, fingerprint="A")
    assert lake.ledger.done("validate", DAY, made_as("B")) is None


def test_a_result_whose_output_was_replaced_since_is_not_done(lake: Lake) -> None:
    """Somebody published and was killed before the ledger entry: the ledger's newest is not what is there."""
    published = publish(lake, 3)
    lake.ledger.record(record(outputs={"mart": published.digest}))
    assert lake.ledger.done("validate", DAY, made_as("A")) is not None
    publish(lake, 2)
    assert lake.ledger.done("validate", DAY, made_as("A")) is None
    publish(lake, 3)
    assert lake.ledger.done("validate", DAY, made_as("A")) is not None


def test_the_output_is_looked_for_in_the_quarantine_of_the_stage(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, Attempt("run"))
    where = {"partition": DAY, "stage": "validate"}
    empty = lake.read("quarantine")
    published = lake.replace("quarantine", empty, where=where, fence=fence)
    lake.ledger.record(record(outputs={"quarantine": f"sha256:{published.digest}", "report": "not a table"}))
    assert lake.ledger.done("validate", DAY, made_as("A")) is not None


def record_many(root: str, barrier: Any, writer: int) -> None:
    lake = Lake(root, "small")
    barrier.wait()
    for minute in range(4):
        lake.ledger.record(record(minute=minute, stage=f"stage{writer}"))
        lake.ledger.record(record(minute=minute, stage="shared"))


@pytest.mark.slow
def test_processes_that_record_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "small")
    lake.bootstrap(small_loop())
    context = multiprocessing.get_context("spawn")  # the runtime of delta-rs does not survive a fork
    barrier = context.Barrier(3)
    writers = [context.Process(target=record_many, args=(str(tmp_path), barrier, n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    stages = lake.read("ledger")["stage"].to_pylist()
    assert sorted(stages) == sorted(["shared"] * 4 + ["stage0", "stage1", "stage2"] * 4)


def test_a_reset_hides_what_its_stage_and_day_had_before_and_nothing_else(lake: Lake) -> None:
    done = record(outputs={"mart": publish(lake, 3).digest})
    others = [record(stage="ingest"), record(partition=OTHER_DAY)]
    for each in (done, *others):
        lake.ledger.record(each)
    reset = record(minute=1, status="reset")
    lake.ledger.record(reset)
    assert lake.ledger.entries("validate", DAY) == [reset]
    assert lake.ledger.latest("validate", DAY, "done") is None
    assert lake.ledger.done("validate", DAY, made_as("A")) is None
    assert lake.ledger.entries(status="done") == others
    assert lake.ledger.digest_before("validate", DAY, "mart") == done.outputs["mart"], "but for its digest"
    assert lake.ledger.digest_before("validate", DAY, "raw") == ""
    assert lake.ledger.digest_before("train", DAY, "mart") == ""
    again = record(minute=2, outputs=done.outputs)
    lake.ledger.record(again)
    assert lake.ledger.entries("validate", DAY) == [reset, again]
    assert lake.ledger.done("validate", DAY, made_as("A")) == again


def test_records_of_one_stage_are_one_commit_and_those_that_are_there_are_left_out(lake: Lake) -> None:
    first = lake.ledger.record(record())
    version = lake.version("ledger")
    both = lake.ledger.record_all([record(), record(partition=OTHER_DAY)])
    assert both[0] == first
    assert lake.version("ledger") == version + 1
    assert lake.read("ledger").num_rows == 2


def test_of_the_days_before_one_the_newest_result_of_each_comes_back_oldest_first(lake: Lake) -> None:
    days = [f"2026-11-{number}" for number in range(10, 20)]
    lake.ledger.record_all([record(partition=day, profile=day) for day in days])
    lake.ledger.record(record(minute=1, partition=days[3], profile="again"))
    lake.ledger.record(record(minute=2, partition=days[4], status="reset"))
    lake.ledger.record(record(minute=3, partition=days[2], status="skipped"))
    lake.ledger.record(record(minute=4, partition=days[1], stage="ingest"))
    found = lake.ledger.days_before("validate", days[6], 4)
    assert [(one.partition, one.profile) for one in found] == [
        (days[1], days[1]),
        (days[2], days[2]),
        (days[3], "again"),
        (days[5], days[5]),
    ]
    assert lake.ledger.days_before("validate", days[0], 4) == []


def test_upkeep_leaves_one_file_of_which_a_day_is_read_alone(lake: Lake) -> None:
    days = [(NOON + timedelta(days=number)).date().isoformat() for number in range(700)]
    for first in (0, 350):
        some = [record(minute=first + number, partition=days[first + number]) for number in range(350)]
        lake.ledger.record_all(some)
    before = lake.ledger.entries()
    tidy_table(lake._store, "ledger", timedelta(days=7))
    (file,) = lake.dataset("ledger", stage="validate").get_fragments()
    assert len(file.subset(ds.field("partition") == days[3]).row_groups) < len(file.row_groups)
    assert lake.ledger.entries() == before
    assert lake.ledger.latest("validate", days[3]) == before[3]
