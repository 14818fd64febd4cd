"""Corrections in the lake: the newest counts, none goes, and the same twice is one."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakeloop.attempt import Attempt
from lakeloop.lake.corrections import (
    Correction,
    OfADay,
    all_corrections,
    correct,
    corrections_of,
    digest_of_day,
    digests,
)
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import CORRECTIONS
from tests.support.small_loop import small_loop

DAY, NEXT = "2026-11-16", "2026-11-17"
ATTEMPT = Attempt("test-run")


def correction(line: int, record: str | None, day: str = DAY, why: str = "tests") -> Correction:
    return Correction(
        partition=day,
        source_file="drop.jsonl",
        source_line=line,
        stage="ingest",
        drop="sha256:0",
        before="broken",
        record=record,
        why=why,
        corrected_by="ann",
        corrected_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"), "small")
    lake.bootstrap(small_loop())
    return lake


def test_the_newest_of_a_record_counts_and_all_are_kept(lake: Lake) -> None:
    first, second = correction(7, '{"id": "a"}'), correction(7, '{"id": "b"}')
    other = correction(2, None)
    assert correct(lake, [first, other], ATTEMPT) == [first, other]
    assert correct(lake, [second], ATTEMPT) == [second]
    assert corrections_of(lake, DAY) == [other, second]
    assert correct(lake, [first], ATTEMPT) == [first], "what was taken back can be said again"
    assert corrections_of(lake, DAY) == [other, first]
    assert sorted(lake.read("corrections")["sequence"].to_pylist()) == [1, 2, 3, 4]


def test_another_record_at_the_same_place_has_corrections_of_its_own(lake: Lake) -> None:
    one = correction(7, '{"id": "a"}')
    other = one.model_copy(update={"before": "another", "record": '{"id": "b"}'})
    correct(lake, [one], ATTEMPT)
    correct(lake, [other], ATTEMPT)
    assert corrections_of(lake, DAY) == [one, other]
    newer = one.model_copy(update={"record": None})
    correct(lake, [newer], ATTEMPT)
    assert corrections_of(lake, DAY) == [other, newer], "of one place the newest last"


def test_one_that_was_taken_back_counts_no_more_and_can_be_said_again(lake: Lake) -> None:
    one = correction(7, '{"id": "a"}')
    back = one.model_copy(update={"record": None, "taken_back": True, "why": "it was right"})
    correct(lake, [one], ATTEMPT)
    before = digests(lake)
    correct(lake, [back], ATTEMPT)
    assert (corrections_of(lake, DAY), digests(lake)) == ([], {})
    assert correct(lake, [back], ATTEMPT) == []
    assert correct(lake, [one], ATTEMPT) == [one]
    assert digests(lake) == before
    assert [(each.number, each.correction, each.counts) for each in all_corrections(lake)] == [
        (1, one, False),
        (2, back, False),
        (3, one, True),
    ]


def test_the_same_twice_is_one_whoever_says_it(lake: Lake) -> None:
    correct(lake, [correction(7, '{"id": "a"}')], ATTEMPT)
    version = lake.version("corrections")
    assert correct(lake, [correction(7, '{"id": "a"}', why="again")], ATTEMPT) == []
    assert lake.version("corrections") == version


def test_what_those_of_a_day_do_is_one_digest_in_whatever_order_they_came(lake: Lake, tmp_path: Path) -> None:
    one, two = correction(7, '{"id": "a"}'), correction(2, None)
    correct(lake, [one, correction(1, None, NEXT)], ATTEMPT)
    correct(lake, [two], ATTEMPT)
    other = Lake(str(tmp_path / "other"), "small")
    other.bootstrap(small_loop())
    correct(other, [two, one], ATTEMPT)
    assert digests(lake)[DAY] == digests(other)[DAY] == OfADay(2, digest_of_day([two, one]))
    assert digests(lake)[NEXT].rows == 1
    correct(lake, [correction(2, "{}")], ATTEMPT)
    assert digests(lake)[DAY] != digests(other)[DAY]


def test_a_lake_of_an_earlier_version_has_none(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), "small")
    assert (corrections_of(lake, DAY), digests(lake), digest_of_day([])) == ([], {}, "")
    assert all_corrections(lake) == []


def test_those_of_an_earlier_version_were_not_taken_back(lake: Lake) -> None:
    columns = [name for name in CORRECTIONS.names if name != "taken_back"]
    one = correction(7, None)
    row = {**one.model_dump(), "sequence": 1, "digest": one.digest}
    path = Path(lake.uri("corrections"))
    shutil.rmtree(path)
    before = pa.Table.from_pylist([row], CORRECTIONS).select(columns)
    write_deltalake(str(path), before)
    assert corrections_of(lake, DAY) == [one]
    assert digests(lake) == {DAY: OfADay(1, digest_of_day([one]))}
    lake.bootstrap(small_loop())
    assert correct(lake, [one.model_copy(update={"taken_back": True})], ATTEMPT) != []
    assert digests(lake) == {}


@pytest.mark.slow
def test_many_small_appends_become_one_file(lake: Lake) -> None:
    for line in range(1, 41):
        correct(lake, [correction(line, None)], ATTEMPT)
    assert len(corrections_of(lake, DAY)) == 40
    assert digests(lake)[DAY].rows == 40
