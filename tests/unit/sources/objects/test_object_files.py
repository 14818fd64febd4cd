"""Source `files` on a real S3 server: days by names, changes, packed and hostile files, credentials."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest

from lakeloop.errors import ConfigurationError, DataError, ServiceError, TransientError
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.sources.files import FileDrops, ManyDays, files_source
from lakeloop.sources.seen import changed_days
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from tests.support.object_store import KEY, S3, SECRET, put
from tests.support.small_loop import DAYS, small_context, small_loop

COLUMNS = {"id": "string", "text": "string", "label": "string"}


def lines(*ids: str, **more: str) -> str:
    return "".join(json.dumps({"id": i, "text": f"words {i}", "label": "tech", **more}) + "\n" for i in ids)


def loop_on(path: str, **source: Any) -> LoopSpec:
    return small_loop(source={"kind": "files", "path": path, "key": "id", "columns": COLUMNS, **source})


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Any]:
    """The address and the store of an empty bucket, whose credentials are in the environment."""
    for variable, value in s3.variables.items():
        monkeypatch.setenv(variable, value)
    name = f"b{abs(hash(request.node.name))}"
    return f"s3://{name}", s3.bucket(name)


def test_a_day_of_many_packed_files_goes_through_ingest_and_a_changed_one_is_noticed(
    tmp_path: Path, bucket: tuple[str, Any]
) -> None:
    address, store = bucket
    put(store, f"drops/{DAYS[0]}/a.jsonl", lines("a", "b"))
    put(store, f"drops/{DAYS[0]}/b.jsonl.gz", gzip.compress(lines("c", "a").encode()))
    put(store, f"drops/{DAYS[1]}/deep/er/a.jsonl", lines("d") + "{broken\n")
    put(store, f"drops/{DAYS[1]}/.hidden.jsonl", lines("x"))
    put(store, "drops/notes/a.jsonl", lines("x"))
    context = small_context(tmp_path, loop_on(f"{address}/drops/{{partition}}/**/*.jsonl*"))
    source = files_source(context.loop, context.settings)
    assert source.partitions() == list(DAYS[:2])
    records = [ingest(context, day) for day in DAYS]
    assert [record.counts for record in records] == [
        Counts(read=4, accepted=3, duplicates=1),
        Counts(read=2, accepted=1, quarantined=1),
        None,
    ]
    assert records[2].reason.endswith(f"looked for {address}/drops/{DAYS[2]}/**/*.jsonl*")
    assert set(context.lake.read("raw", partition=DAYS[0])["source_file"].to_pylist()) == {
        f"{address}/drops/{DAYS[0]}/a.jsonl",
        f"{address}/drops/{DAYS[0]}/b.jsonl.gz",
    }
    ingested = {day: record.inputs["drop"] for day, record in zip(DAYS[:2], records, strict=False)}
    assert changed_days(context.loop, context.settings, ingested) == []
    put(store, f"drops/{DAYS[1]}/deep/er/a.jsonl", lines("d", "e"))
    assert changed_days(context.loop, context.settings, ingested) == [DAYS[1]]
    assert list((context.settings.home / "fetched/small").iterdir()) == []


def test_files_of_many_days_are_split_and_only_changed_days_are_others(
    tmp_path: Path, bucket: tuple[str, Any]
) -> None:
    address, store = bucket
    put(store, "all/1.jsonl", lines("a", at=DAYS[0]) + lines("b", at=DAYS[1]))
    loop = loop_on(f"{address}/all/*.jsonl", columns={**COLUMNS, "at": "timestamp"}, partition_by="at")
    source = ManyDays(loop, Settings(root=tmp_path))
    assert source.unread_bytes() == len(lines("a", at=DAYS[0])) * 2
    before = {day: source.glance(day) for day in source.partitions()}
    assert list(before) == list(DAYS[:2])
    put(store, "all/2.jsonl", lines("c", at=DAYS[1]))
    later = ManyDays(loop, Settings(root=tmp_path))
    after = {day: later.glance(day) for day in later.partitions()}
    assert after[DAYS[0]] == before[DAYS[0]]
    assert after[DAYS[1]] != before[DAYS[1]]


def test_one_file_a_day_and_parquet_are_read_by_a_child(tmp_path: Path, bucket: tuple[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    address, store = bucket
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["a"], "text": ["words"], "label": ["tech"]}), sink)
    put(store, f"{DAYS[0]}.parquet", sink.getvalue().to_pybytes())
    put(store, f"{DAYS[1]}.parquet", sink.getvalue().to_pybytes()[:-20])
    source = FileDrops(loop_on(f"{address}/{{partition}}.parquet", format="parquet"), Settings(root=tmp_path))
    assert source.partitions() == list(DAYS[:2])
    good, bad = source.find(DAYS[0]), source.find(DAYS[1])
    assert good is not None
    assert bad is not None
    assert [row["id"] for block in good.blocks() for row in block.rows.to_pylist()] == ["a"]
    with pytest.raises(DataError, match="Parquet") as caught:
        list(bad.blocks())
    assert caught.value.where == f"{address}/{DAYS[1]}.parquet"
    assert source.find(DAYS[2]) is None
    assert source.glance(DAYS[2]) is None


def test_a_bomb_meets_its_limit(tmp_path: Path, bucket: tuple[str, Any]) -> None:
    address, store = bucket
    put(store, f"{DAYS[0]}.jsonl", gzip.compress(b" " * 2_000_000))
    settings = Settings(root=tmp_path, unpacked_bytes=1_000_000)
    delivery = FileDrops(loop_on(f"{address}/{{partition}}.jsonl"), settings).find(DAYS[0])
    assert delivery is not None
    with pytest.raises(DataError, match="unpack"):
        list(delivery.blocks())


def test_a_file_that_is_replaced_in_between_is_not_read(tmp_path: Path, bucket: tuple[str, Any]) -> None:
    address, store = bucket
    put(store, f"{DAYS[0]}.jsonl", lines("a"))
    delivery = FileDrops(loop_on(f"{address}/{{partition}}.jsonl"), Settings(root=tmp_path)).find(DAYS[0])
    assert delivery is not None
    put(store, f"{DAYS[0]}.jsonl", lines("b"))
    with pytest.raises(TransientError, match="changed while it was read"):
        list(delivery.blocks())
    obstore.delete(store, f"{DAYS[0]}.jsonl")
    with pytest.raises(TransientError, match="changed while it was read"):
        list(delivery.blocks())


def test_credentials_are_those_of_the_connection_and_in_no_message(
    tmp_path: Path, s3: S3, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, store = bucket
    put(store, f"{DAYS[0]}.jsonl", lines("a"))
    for variable in s3.variables:
        monkeypatch.delenv(variable)
    extra = {"region_name": "us-east-1", "endpoint_url": s3.endpoint}
    said = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": json.dumps(extra)}
    loop = loop_on(f"{address}/{{partition}}.jsonl", connection="drops")
    settings = Settings(root=tmp_path)
    with pytest.raises(ConfigurationError, match="no connection for this store"):
        FileDrops(loop, settings).find(DAYS[0])
    monkeypatch.setenv("AIRFLOW_CONN_DROPS", json.dumps(said))
    assert FileDrops(loop, settings).find(DAYS[0]) is not None
    monkeypatch.setenv("AIRFLOW_CONN_DROPS", json.dumps({**said, "conn_type": "http"}))
    with pytest.raises(ConfigurationError, match="no connection for this store"):
        FileDrops(loop, settings).find(DAYS[0])
    elsewhere = {**extra, "endpoint_url": "http://store.example:9000"}
    monkeypatch.setenv("AIRFLOW_CONN_DROPS", json.dumps({**said, "extra": elsewhere}))
    with pytest.raises(ConfigurationError, match="open to the network"):
        FileDrops(loop, settings).find(DAYS[0])


def test_a_bucket_that_is_not_there_and_a_store_that_is_away_are_named(
    tmp_path: Path, s3: S3, bucket: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(root=tmp_path)
    none = FileDrops(loop_on("s3://no-such-bucket/drops/{partition}/*.jsonl"), settings)
    with pytest.raises(ConfigurationError, match="does not let us in") as caught:
        none.find(DAYS[0])
    assert SECRET not in str(caught.value)
    assert "(AWS_ACCESS_KEY_ID, " in caught.value.remedy
    assert none.partitions() == []
    monkeypatch.setattr("lakeloop.object_store.PATIENCE", timedelta(seconds=1))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(ServiceError, match="the store does not answer") as away:
        FileDrops(loop_on(f"{bucket[0]}/drops/{{partition}}/*.jsonl"), settings).find(DAYS[0])
    assert SECRET not in str(away.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("ftp://host/drops/{partition}.csv", "no such store"),
        ("s3://key:word@bucket/{partition}.csv", "a login in it"),
        ("s3://{partition}/drops.csv", "not an address in a store"),
    ],
)
def test_an_address_that_is_none_is_refused_by_check(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        loop_on(path)
    assert "key:word" not in str(caught.value).partition("input_value")[0]
