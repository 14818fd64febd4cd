"""`lakeloop new --from` a Delta table and files in an object store, on a real S3 server."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakeloop.errors import ConfigurationError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.preview import Preview, preview
from lakeloop.proposal.propose import look_at, propose
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import read_loop
from tests.support.object_store import KEY, S3, SECRET, put

ROWS = [
    {
        "id": f"t{n}",
        "text": f"the parcel number {n} is late again",
        "team": ["billing", "delivery"][n % 2],
        "at": datetime(2026, 11, 16 + n % 2, 1, n, tzinfo=UTC),
    }
    for n in range(40)
]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


@pytest.fixture
def connection(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    extra = {"region_name": "us-east-1", "endpoint_url": s3.endpoint}
    said = {"conn_type": "aws", "login": KEY, "password": SECRET, "extra": extra}
    monkeypatch.setenv("LAKELOOP_CONN_DROPS", json.dumps(said))
    return "drops"


def runs(given: Given, settings: Settings) -> tuple[LoopSpec, Preview]:
    text = propose("tickets", given, {}).text()
    assert SECRET not in text
    loop = read_loop(text, settings.loop_file("tickets"), settings)
    look = preview(loop, settings)
    assert (look.read, look.accepted) == (40, 40)
    assert look.days == ("2026-11-16", "2026-11-17")
    return loop, look


def lines(day: int) -> bytes:
    rows = [row for row in ROWS if row["at"].day == day]  # type: ignore[attr-defined]
    return "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()


def test_a_delta_table_becomes_a_loop_that_reads_it(settings: Settings) -> None:
    nested = [{**row, "who": {"name": "x"}} for row in ROWS]
    write_deltalake(str(settings.root / "theirs"), pa.Table.from_pylist(nested))
    given = look_at(Pointer("tickets", "theirs", settings))
    loop, _ = runs(given, settings)
    assert (
        loop.source.model_dump(exclude_unset=True).items()
        >= {
            "kind": "delta",
            "table": "theirs",
            "partition_by": "at",
            "key": "id",
        }.items()
    )
    assert propose("tickets", given, {}).left_out == ("who",)


def test_a_delta_table_in_a_store_is_known_by_its_log(settings: Settings, s3: S3, connection: str) -> None:
    s3.bucket("lake")
    write_deltalake("s3://lake/theirs", pa.Table.from_pylist(ROWS), storage_options=s3.variables)
    loop, _ = runs(
        look_at(Pointer("tickets", "s3://lake/theirs/", settings, connection=connection)), settings
    )
    assert loop.source.kind == "delta"


@pytest.mark.parametrize(
    ("names", "text", "path"),
    [
        (("2026-11-16.jsonl", "2026-11-17.jsonl"), "", "{partition}.jsonl"),
        (
            ("in/2026-11-16/a.jsonl", "in/2026-11-17/b.jsonl"),
            "in/**/*.jsonl",
            "in/{partition}/*.jsonl",
        ),
        (
            ("on/2026-11-16/a.jsonl", "on/2026-11-17/b.jsonl"),
            "on/{partition}/*.jsonl",
            "on/{partition}/*.jsonl",
        ),
        (("in/x/a.jsonl", "in/y/b.jsonl"), "in/*/*.jsonl", "in/*/*.jsonl"),
        (
            ("lake/dt=2026-11-16/part-0.jsonl", "lake/dt=2026-11-17/part-0.jsonl"),
            "lake",
            "lake/dt={partition}/*.jsonl",
        ),
    ],
)
def test_files_in_a_store_become_a_loop_that_reads_them(
    settings: Settings, s3: S3, connection: str, names: tuple[str, str], text: str, path: str
) -> None:
    bucket = f"drops{abs(hash(path))}"
    store: Any = s3.bucket(bucket)
    for name, day in zip(names, (16, 17), strict=True):
        put(store, name, gzip.compress(lines(day)))
    put(store, "lake/_SUCCESS", b"no data")
    put(store, "lake/dt=2026-11-16/.part-0.crc", b"no data")
    given = look_at(Pointer("tickets", f"s3://{bucket}/{text}", settings, connection=connection))
    loop, _ = runs(given, settings)
    said = loop.source.model_dump()
    assert (said["path"], said["connection"]) == (f"s3://{bucket}/{path}", "drops")
    assert (said["partition_by"] is None) == ("{partition}" in path)


def test_what_is_not_there_or_no_store_is_named(settings: Settings, s3: S3, connection: str) -> None:
    s3.bucket("nothing")
    with pytest.raises(ConfigurationError, match="no file there"):
        look_at(Pointer("tickets", "s3://nothing/drops/", settings, connection=connection))
    with pytest.raises(ConfigurationError, match="not an address that can be read") as caught:
        look_at(Pointer("tickets", "ftp://host/drops/", settings))
    assert "s3://" in caught.value.expected
