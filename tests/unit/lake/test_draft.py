"""Rows that are written first and published later: seen by nobody until then, and gone when they are not."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import CountsError, FenceError
from lakeloop.lake import delta
from lakeloop.lake.claims import Fence
from lakeloop.lake.draft import Draft
from lakeloop.lake.store import Lake
from tests.support.small_loop import MART, mart_rows

DAY = "2026-11-16"
WHERE = {"partition": DAY}


def batch(count: int, first: int = 0) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(mart_rows(DAY, count, first=first), MART)


def fence_of(lake: Lake, attempt: int = 1) -> Fence:
    return lake.claim("validate", DAY, Attempt("run", attempt))


def drafted(lake: Lake) -> Draft:
    return lake.draft("mart", where=WHERE, fence=fence_of(lake))


def files(lake: Lake) -> list[Path]:
    return sorted(Path(lake.uri("mart")).rglob("*.parquet"))


def test_rows_replace_the_others_when_they_are_published_and_not_before(lake: Lake) -> None:
    old = lake.replace("mart", pa.Table.from_batches([batch(5)]), where=WHERE, fence=fence_of(lake))
    with drafted(lake) as draft:
        draft.append(batch(2))
        draft.append(batch(1, first=7).drop_columns(["partition"]))
        assert (draft.rows, lake.digest("mart")) == (3, old.digest)
        published = draft.publish("as somebody found")
    assert (published.rows, published.digest, published.version) == (3, "as somebody found", old.version + 1)
    assert lake.read("mart")["row_id"].to_pylist() == [f"{DAY}-{n}" for n in (0, 1, 7)]


def test_rows_can_be_read_back_and_others_can_follow(lake: Lake) -> None:
    with drafted(lake) as draft:
        draft.append(batch(3))
        (read,) = draft.batches()
        assert read["row_id"].to_pylist() == [f"{DAY}-{n}" for n in range(3)]
        draft.append(batch(1, first=3))
        assert sum(rows.num_rows for rows in draft.batches()) == 4
        draft.publish("digest")
    assert lake.read("mart").num_rows == 4


def test_a_draft_that_is_not_published_leaves_no_file(lake: Lake) -> None:
    with drafted(lake) as draft:
        draft.append(batch(3))
        list(draft.batches())
        draft.append(batch(3))
        assert len(files(lake)) == 1
    assert files(lake) == []


def test_a_draft_without_rows_clears_the_partition(lake: Lake) -> None:
    lake.replace("mart", pa.Table.from_batches([batch(5)]), where=WHERE, fence=fence_of(lake))
    with drafted(lake) as draft:
        assert draft.publish("digest").rows == 0
    assert lake.read("mart").num_rows == 0


def test_a_draft_of_an_attempt_that_was_overtaken_is_refused_and_leaves_no_file(lake: Lake) -> None:
    with drafted(lake) as draft:
        draft.append(batch(3))
        fence_of(lake, 2)
        with pytest.raises(FenceError, match="took over"):
            draft.publish("digest")
    assert (lake.version("mart"), files(lake)) == (0, [])


def test_rows_that_go_missing_on_the_disk_are_not_published(lake: Lake) -> None:
    with drafted(lake) as draft:
        draft.append(batch(3))
        list(draft.batches())
        (file,) = files(lake)
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(CountsError, match="not all there any more"):
            draft.publish("digest")
    assert (lake.version("mart"), files(lake)) == (0, [])


def test_files_that_a_commit_may_name_are_not_deleted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit was made when the disk fails."""

    def failing(*_: object) -> None:
        raise OSError("the disk is gone")

    with drafted(lake) as draft:
        draft.append(batch(3))
        monkeypatch.setattr(delta, "_sync", failing)
        with pytest.raises(OSError, match="is gone"):
            draft.publish("digest")
    assert lake.read("mart").num_rows == 3
