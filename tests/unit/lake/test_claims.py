"""Fences: of two attempts the newer one publishes, and a write in between is never lost."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakeloop.attempt import Attempt
from lakeloop.errors import FenceError
from lakeloop.lake.claims import Claims, Fence
from lakeloop.lake.store import Lake
from lakeloop.records import now
from tests.support.small_loop import MART, mart_rows

DAY, OTHER_DAY = "2026-11-16", "2026-11-17"
FIRST, SECOND = Attempt("run", 1), Attempt("run", 2)


def write(lake: Lake, fence: Fence, first: int = 0) -> int:
    table = pa.Table.from_pylist(mart_rows(fence.partition, 3, first=first), MART)
    return lake.replace("mart", table, where={"partition": fence.partition}, fence=fence).version


def row_ids(lake: Lake, day: str = DAY) -> list[str]:
    return sorted(lake.read("mart", partition=day)["row_id"].to_pylist())


def test_an_attempt_that_wakes_up_after_a_newer_one_claimed_changes_nothing(lake: Lake) -> None:
    old = lake.claim("validate", DAY, FIRST)
    new = lake.claim("validate", DAY, SECOND)
    version = lake.version("mart")
    with pytest.raises(FenceError, match="took over") as caught:
        write(lake, old, first=50)
    assert "run#2" in caught.value.found
    assert lake.version("mart") == version
    write(lake, new)
    assert row_ids(lake) == [f"{DAY}-{n}" for n in range(3)]


def test_an_attempt_that_wakes_up_after_a_newer_one_published_changes_nothing(lake: Lake) -> None:
    old = lake.claim("validate", DAY, FIRST)
    write(lake, lake.claim("validate", DAY, SECOND))
    version = lake.version("mart")
    with pytest.raises(FenceError):
        write(lake, old, first=50)
    assert lake.version("mart") == version


def test_an_older_try_of_the_same_run_cannot_claim_back(lake: Lake) -> None:
    lake.claim("validate", DAY, SECOND)
    with pytest.raises(FenceError, match="later try"):
        lake.claim("validate", DAY, FIRST)
    lake.claim("validate", DAY, SECOND)


def test_another_run_takes_over_whatever_its_try(lake: Lake) -> None:
    lake.claim("validate", DAY, SECOND)
    write(lake, lake.claim("validate", DAY, Attempt("by-hand", 1)))


def test_a_write_in_between_by_another_stage_is_a_conflict(lake: Lake) -> None:
    mine = lake.claim("validate", DAY, FIRST)
    write(lake, lake.claim("repair", DAY, FIRST))
    with pytest.raises(FenceError, match="somebody else changed 'mart'"):
        write(lake, mine, first=50)
    assert row_ids(lake) == [f"{DAY}-{n}" for n in range(3)]


def test_a_write_in_between_is_a_conflict_for_an_empty_replace_too(lake: Lake) -> None:
    mine = lake.claim("validate", DAY, FIRST)
    write(lake, lake.claim("repair", DAY, FIRST))
    with pytest.raises(FenceError):
        lake.replace("mart", MART.empty_table(), where={"partition": DAY}, fence=mine)
    assert len(row_ids(lake)) == 3


def test_two_partitions_do_not_disturb_each_other(lake: Lake) -> None:
    one, two = lake.claim("validate", DAY, FIRST), lake.claim("validate", OTHER_DAY, FIRST)
    versions = [write(lake, one), write(lake, two), write(lake, one, first=5)]
    assert versions == [1, 2, 3]
    assert row_ids(lake) == [f"{DAY}-{n}" for n in range(5, 8)]
    assert len(row_ids(lake, OTHER_DAY)) == 3


def test_an_attempt_may_publish_again_on_top_of_itself(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, FIRST)
    write(lake, fence)
    write(lake, fence, first=5)
    assert row_ids(lake) == [f"{DAY}-{n}" for n in range(5, 8)]


def test_one_claim_is_kept_for_each_stage_and_partition(lake: Lake) -> None:
    for _ in range(3):
        lake.claim("validate", DAY, FIRST)
    lake.claim("ingest", DAY, FIRST)
    assert sorted(lake.read("claims")["scope"].to_pylist()) == ["ingest", "validate"]


def test_old_claims_are_forgotten_and_young_ones_hold(lake: Lake) -> None:
    old = lake.claim("train-finetune@fast", DAY, FIRST)
    lake.claim("transform", OTHER_DAY, FIRST)
    time.sleep(0.01)  # the log says when to a millisecond
    moment = now()
    young = lake.claim("validate", DAY, FIRST)
    claims = Claims(lake._store)
    assert claims.forget(moment) == 2
    assert claims.forget(moment) == 0
    assert lake.read("claims")["scope"].to_pylist() == ["validate"]
    write(lake, young)
    with pytest.raises(FenceError) as caught:
        claims.check(old)
    assert caught.value.found == "no claim at all"
    write(lake, lake.claim("validate", DAY, SECOND), first=9)
    assert row_ids(lake) == sorted(f"{DAY}-{n}" for n in (9, 10, 11))


def test_no_claim_is_forgotten_while_another_is_taken(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.claim("validate", DAY, FIRST)
    opened = lake._store.open

    def open_then_claimed(table: str, version: int | None = None) -> DeltaTable:
        snapshot = opened(table, version)
        monkeypatch.setattr(lake._store, "open", opened)
        lake.claim("validate", DAY, SECOND)
        return snapshot

    monkeypatch.setattr(lake._store, "open", open_then_claimed)
    assert Claims(lake._store).forget(now()) == 0
    with pytest.raises(FenceError, match="later try"):
        lake.claim("validate", DAY, FIRST)
