"""Source `delta`: days of somebody's table, by one version of it; a day is another when its files are."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.sources.delta import DeltaDays
from lakeloop.sources.seen import changed_days
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from tests.support.object_store import KEY, S3, SECRET
from tests.support.small_loop import DAYS, small_context, small_loop
from tests.support.sql_loop import COLUMNS, read

TIMES = pa.timestamp("us", "UTC")


def delta_loop(zone: str = "UTC", **source: Any) -> LoopSpec:
    usual = {
        "kind": "delta",
        "table": "theirs/tickets",
        "key": "id",
        "columns": COLUMNS,
        "partition_by": "at",
    }
    return small_loop(source={**usual, **source}, schedule={"timezone": zone})


def rows(*moments: str, kind: pa.DataType = TIMES, first: int = 0) -> pa.Table:
    """A row at each moment, with a column that no loop declares."""
    ids = [f"t{number}" for number in range(first, first + len(moments))]
    at: list[Any] = [datetime.fromisoformat(moment) for moment in moments]
    if pa.types.is_date(kind):
        at = [moment.date() for moment in at]
    elif not pa.types.is_timestamp(kind):
        at = list(moments) if pa.types.is_string(kind) else [int(each.timestamp()) for each in at]
    columns = {"id": ids, "text": [f"words of {each}" for each in ids], "label": ["tech"] * len(ids)}
    return pa.table({**columns, "at": pa.array(at, kind), "who": [{"name": "x"}] * len(ids)})


def write(root: Path, table: pa.Table, **how: Any) -> str:
    uri = str(root / "theirs/tickets")
    (root / "theirs").mkdir(exist_ok=True)
    write_deltalake(uri, table, mode="append", **how)
    return uri


def test_days_are_ingested_and_only_one_with_other_files_is_another(tmp_path: Path) -> None:
    for number, day in enumerate(DAYS):
        write(tmp_path, rows(f"{day}T01:00:00Z", f"{day}T23:00:00Z", first=10 * number))
    context = small_context(tmp_path, delta_loop())
    records = [ingest(context, day) for day in DAYS]
    assert [record.counts for record in records] == [Counts(read=2, accepted=2)] * 3
    assert (
        context.lake.read("raw", partition=DAYS[0])["source_file"].to_pylist()
        == [f"theirs/tickets {DAYS[0]}"] * 2
    )
    ingested = {day: record.inputs["drop"] for day, record in zip(DAYS, records, strict=True)}
    assert changed_days(context.loop, context.settings, ingested) == []

    write(tmp_path, rows(f"{DAYS[1]}T12:00:00Z", first=90))
    assert changed_days(context.loop, context.settings, ingested) == [DAYS[1]]
    assert [ingest(context, day).status for day in DAYS] == ["unchanged", "done", "unchanged"]
    skipped = ingest(context, "2026-11-25")
    assert skipped.status == "skipped"
    assert "no row of 2026-11-25 in version 3" in skipped.reason


def test_a_version_that_is_named_stays(tmp_path: Path) -> None:
    write(tmp_path, rows(f"{DAYS[0]}T01:00:00Z"))
    write(tmp_path, rows(f"{DAYS[0]}T02:00:00Z", f"{DAYS[1]}T02:00:00Z", first=5))
    settings = Settings(root=tmp_path)
    assert DeltaDays(delta_loop(version=0), settings).partitions() == [DAYS[0]]
    assert DeltaDays(delta_loop(), settings).partitions() == list(DAYS[:2])
    with pytest.raises(ConfigurationError, match="no such version"):
        DeltaDays(delta_loop(version=7), settings).find(DAYS[0])


@pytest.mark.parametrize(
    ("kind", "column", "zone", "moments", "days"),
    [
        (TIMES, "timestamp", "Europe/Berlin", ("2026-11-16T22:59:59Z", "2026-11-16T23:00:00Z"), DAYS[:2]),
        (pa.timestamp("us"), "timestamp", "UTC", ("2026-11-16T23:59:59", "2026-11-17T00:00:00"), DAYS[:2]),
        (
            pa.timestamp("us"),
            {"type": "timestamp", "zone": "America/New_York"},
            "UTC",
            ("2026-11-16T18:59:59", "2026-11-16T19:00:00"),
            DAYS[:2],
        ),
        (pa.date32(), "date", "Asia/Tokyo", (DAYS[0], DAYS[1]), DAYS[:2]),
        (pa.string(), "date", "Asia/Tokyo", (DAYS[0], DAYS[1]), DAYS[:2]),
        (
            pa.int64(),
            {"type": "timestamp", "format": "epoch_s"},
            "UTC",
            ("2026-11-16T23:59:59Z", "2026-11-17T00:00:00Z"),
            DAYS[:2],
        ),
    ],
)
@pytest.mark.parametrize("partitioned", [False, True])
def test_each_row_is_in_the_day_of_its_column(
    tmp_path: Path,
    kind: pa.DataType,
    column: Any,
    zone: str,
    moments: tuple[str, ...],
    days: tuple[str, ...],
    partitioned: bool,
) -> None:
    write(tmp_path, rows(*moments, kind=kind), partition_by=["at"] if partitioned else None)
    source = DeltaDays(delta_loop(zone, columns={**COLUMNS, "at": column}), Settings(root=tmp_path))
    assert source.partitions() == list(days)
    for number, day in enumerate(days):
        found, rejects = read(source.find(day))
        assert [row["id"] for row in found] == [f"t{number}"]
        assert rejects == []
        value = found[0]["at"]
        assert value == (date.fromisoformat(day) if isinstance(value, date) and column == "date" else value)


def test_a_table_without_statistics_is_read_for_its_days(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = {"delta.dataSkippingStatsColumns": "id"}
    write(tmp_path, rows(f"{DAYS[0]}T01:00:00Z", f"{DAYS[1]}T01:00:00Z"), configuration=nothing)
    write(tmp_path, rows(f"{DAYS[2]}T01:00:00Z", first=5))
    source = DeltaDays(delta_loop(), Settings(root=tmp_path))
    assert source.partitions() == list(DAYS)
    assert "every commit makes every day another one" in caplog.text
    assert source.find("2026-11-19") is None
    found, _ = read(source.find(DAYS[1]))
    assert found[0]["at"] == datetime(2026, 11, 17, 1, tzinfo=UTC)


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping", "somethingNew"])
def test_a_table_that_needs_a_newer_reader_is_refused_by_name(tmp_path: Path, feature: str) -> None:
    uri = write(tmp_path, rows(f"{DAYS[0]}T01:00:00Z"))
    features = {"minReaderVersion": 3, "minWriterVersion": 7}
    protocol = {**features, "readerFeatures": [feature], "writerFeatures": [feature]}
    log = Path(uri) / "_delta_log" / f"{1:020}.json"
    log.write_text(json.dumps({"protocol": protocol}) + "\n")
    with pytest.raises(ConfigurationError, match="a newer reader") as caught:
        DeltaDays(delta_loop(), Settings(root=tmp_path)).find(DAYS[0])
    assert feature in caught.value.found


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    with pytest.raises(ConfigurationError, match="no such table"):
        DeltaDays(delta_loop(), settings).find(DAYS[0])
    assert DeltaDays(delta_loop(), settings).partitions() == []
    assert DeltaDays(delta_loop(), settings).glance(DAYS[0]) is None
    write(tmp_path, rows(f"{DAYS[0]}T01:00:00Z"))
    with pytest.raises(ConfigurationError, match="there is no column text2"):
        DeltaDays(delta_loop(columns={**COLUMNS, "text2": "string"}), settings).find(DAYS[0])
    with pytest.raises(ConfigurationError, match="out of the allowed folders"):
        DeltaDays(delta_loop(table="../elsewhere"), settings).find(DAYS[0])


def test_words_are_no_days(tmp_path: Path) -> None:
    write(tmp_path, rows(f"{DAYS[0]}T01:00:00Z", kind=pa.string()))
    with pytest.raises(ConfigurationError, match="column at says no day"):
        DeltaDays(delta_loop(), Settings(root=tmp_path)).find(DAYS[0])


def test_a_file_that_was_vacuumed_is_tried_again(tmp_path: Path) -> None:
    uri = write(tmp_path, rows(f"{DAYS[0]}T01:00:00Z"))
    delivery = DeltaDays(delta_loop(), Settings(root=tmp_path)).find(DAYS[0])
    assert delivery is not None
    for file in Path(uri).glob("*.parquet"):
        file.unlink()
    with pytest.raises(TransientError, match="a file of this version is gone"):
        list(delivery.blocks())


def test_rows_that_do_not_fit_are_rejected_alone(tmp_path: Path) -> None:
    table = rows(f"{DAYS[0]}T01:00:00Z", f"{DAYS[0]}T02:00:00Z")
    write(tmp_path, table.set_column(0, "id", pa.array([None, "b"])))
    found, rejects = read(DeltaDays(delta_loop(), Settings(root=tmp_path)).find(DAYS[0]))
    assert [row["id"] for row in found] == ["b"]
    assert [(reason, column) for reason, column, _ in rejects] == [("null_key", "id")]


def test_a_table_in_a_store_is_read_with_a_connection(
    tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.bucket("theirs")
    options = {**s3.variables, "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    write_deltalake("s3://theirs/tickets", rows(f"{DAYS[0]}T01:00:00Z"), storage_options=options)
    said = {"conn_type": "aws", "login": KEY, "password": SECRET}
    extra = {"region_name": "us-east-1", "endpoint_url": s3.endpoint}
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", json.dumps({**said, "extra": extra}))
    source = DeltaDays(delta_loop(table="s3://theirs/tickets", connection="theirs"), Settings(root=tmp_path))
    assert source.partitions() == [DAYS[0]]
    found, _ = read(source.find(DAYS[0]))
    assert [row["id"] for row in found] == ["t0"]
    away = {**said, "extra": {**extra, "endpoint_url": "http://127.0.0.1:1"}}
    monkeypatch.setenv("AIRFLOW_CONN_THEIRS", json.dumps(away))
    assert DeltaTable("s3://theirs/tickets", storage_options=options).version() == 0
