"""Days of an API on a real lake, by the real stage: with made rows, and those of the complaints API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lakeloop.errors import ServiceError
from lakeloop.lake.tables import QUARANTINE
from lakeloop.quality.rows import REJECTED, rejected
from lakeloop.records import Counts
from lakeloop.scratch.duckdb import fill
from lakeloop.sources.http import client
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.whole import keep_as_delivered
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from tests.support.complaints_api import (
    REPLAYED,
    Api,
    days_from,
    made_rows,
    refusing,
    replayed_rows,
    running_api,
    source_of,
    truncated,
)
from tests.support.small_loop import small_context, small_loop

CURSOR = {
    "kind": "cursor",
    "param": "search_after",
    "cursor": "hits.hits.-1.sort",
    "join": "|",
    "size_param": "size",
    "page_size": 2,
}


@pytest.fixture(params=["made", "replayed"])
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """An API with the rows of three days or more."""
    if request.param == "replayed" and not REPLAYED.is_file():
        pytest.skip("no cfpb_dated_narratives below LAKELOOP_TEST_DATA")
    monkeypatch.setattr(client, "FIRST_WAIT_SECONDS", 0.01)
    with running_api(replayed_rows() if request.param == "replayed" else made_rows()) as running:
        yield running


@pytest.fixture
def days(api: Api) -> list[str]:
    """The three days with most rows, oldest first."""
    counts = Counter(row["date_received"][:10] for row in api.rows)
    return sorted(day for day, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3])


def context_of(tmp_path: Path, api: Api, **keys: Any) -> StageContext:
    issues = tuple(sorted({row["issue"] for row in api.rows}))
    source = source_of(api, start=min(row["date_received"] for row in api.rows)[:10], **keys)
    return small_context(
        tmp_path, small_loop(source=source, task={"text": "text", "label": "issue", "labels": issues})
    )


@pytest.mark.parametrize("paging", [source_of(Api([]))["paging"], CURSOR], ids=["offset", "search_after"])
def test_days_are_published_whole_through_all_troubles(
    api: Api, days: list[str], tmp_path: Path, paging: dict[str, Any]
) -> None:
    context = context_of(tmp_path, api, paging=paging)
    troubles = [refusing(429, Retry_After="0"), truncated, refusing(500)]
    for day, trouble in zip(days, troubles, strict=True):
        api.troubles.append(trouble)
        record = ingest(context, day)
        wanted = [row for row in api.rows if row["date_received"].startswith(day)]
        assert record.counts == Counts(read=len(wanted), accepted=len(wanted))
        raw = context.lake.read("raw", partition=day).sort_by("complaint_id").to_pylist()
        wanted.sort(key=lambda row: row["complaint_id"])
        assert [row["text"] for row in raw] == [row["complaint_what_happened"] for row in wanted]
        assert {row["date_received"] for row in raw} == {datetime.fromisoformat(f"{day}T17:00:00Z")}
        assert {row["source_file"] for row in raw} == {f"{api.url}/search {day}"}
        assert sorted(row["source_line"] for row in raw) == list(range(1, len(wanted) + 1))
    assert context.lake.read("raw").num_rows == sum(row["date_received"][:10] in days for row in api.rows)


def test_a_day_is_new_only_when_its_records_are(api: Api, days: list[str], tmp_path: Path) -> None:
    context = context_of(tmp_path, api)
    first = ingest(context, days[0])
    assert ingest(context, days[0]).status == "unchanged"
    row = next(row for row in api.rows if row["date_received"].startswith(days[0]))
    row["complaint_what_happened"] += " Corrected."
    again = ingest(context, days[0])
    assert (again.status, again.fingerprint != first.fingerprint) == ("done", True)
    assert sum(t.endswith(" Corrected.") for t in context.lake.read("raw")["text"].to_pylist()) == 1


def test_an_api_that_fails_publishes_nothing_and_the_next_run_does(
    api: Api, days: list[str], tmp_path: Path
) -> None:
    context = context_of(tmp_path, api, retries=1)
    api.troubles += [refusing(503)] * 2
    with pytest.raises(ServiceError):
        ingest(context, days[0])
    assert context.lake.version("raw") == 0
    assert ingest(context, days[0]).status == "done"


def test_days_that_were_never_asked_for_are_due_and_a_day_without_records_is_not_for_ever(
    api: Api, days: list[str], tmp_path: Path
) -> None:
    context = context_of(tmp_path, api)
    ingest(context, days[0])
    there = {row["date_received"][:10] for row in api.rows}
    empty = next(day for day in days_from(days[0], 400) if day not in there)

    def due() -> set[str]:
        return {step.partition for step in work_left(context) if step.stage == "ingest"}

    asked = len(api.requests)
    assert {*days[1:], empty} <= due()
    assert len(api.requests) == asked
    record = ingest(context, empty)
    assert (record.status, record.reason) == ("skipped", f"no records of {empty} at {api.url}/search")
    assert empty not in due()


def test_a_row_that_is_refused_later_is_kept_whole_without_asking_again(
    api: Api, days: list[str], tmp_path: Path
) -> None:
    context = context_of(tmp_path, api)
    record = ingest(context, days[0])
    asked = len(api.requests)
    bad = {
        "reason": "too_short",
        "detail": "",
        "source_line": 2,
        "byte_offset": 0,
        "raw": "{}",
        "raw_form": "row",
        "partition": days[0],
        "stage": "validate",
        "source_file": f"{api.url}/search {days[0]}",
        "readmitted": False,
    }
    with duckdb.connect() as connection:
        fill(connection, "main", REJECTED, pa.Table.from_pylist([bad], QUARANTINE))
        keep_as_delivered(context, record, connection)
        (row,) = rejected(connection).read_all().to_pylist()
    assert row["raw_form"] == "line"
    wanted = api.of({"date_received_min": days[0], "date_received_max": days[0] + "~"})[1]
    assert all(f'"{name}":' in row["raw"] for name in wanted)
    assert wanted["complaint_id"] in row["raw"]
    assert len(api.requests) == asked
