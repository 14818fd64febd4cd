"""Source `hub`: shards of a data set in a folder, or in the hub's cache; what is missing offline is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from lakeloop.errors import ConfigurationError
from lakeloop.proposal.given import Pointer
from lakeloop.proposal.preview import preview
from lakeloop.proposal.propose import look_at, propose
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.sources.hub import hub_source
from lakeloop.sources.seen import changed_days
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import read_loop
from lakeloop.stages.data.ingest import ingest
from tests.support.small_loop import DAYS, small_context, small_loop

COLUMNS = {"id": "string", "text": "string", "label": "string"}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub_loop(**source: Any) -> LoopSpec:
    usual = {"kind": "hub", "dataset": "reviews", "key": "id", "columns": COLUMNS, "format": "parquet"}
    when = {} if "partition_by" in source else {"day": DAYS[0]}
    return small_loop(source={**usual, **when, **source})


def shard(folder: Path, name: str, *ids: str, **more: Any) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    rows = [{"id": i, "text": f"some words of {i}", "label": "tech", **more} for i in ids]
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), folder / name)
    else:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_data_set_without_dates_is_the_delivery_of_its_day(tmp_path: Path) -> None:
    for number, ids in enumerate((("a", "b"), ("c", "b"))):
        shard(tmp_path / "reviews", f"data/train-0000{number}-of-00002.parquet", *ids)
    shard(tmp_path / "reviews", "data/test-00000-of-00001.parquet", "x")
    (tmp_path / "reviews/README.md").write_text("---\nlicense: mit\n---\n")
    context = small_context(tmp_path, hub_loop())
    record = ingest(context, DAYS[0])
    assert record.counts == Counts(read=4, accepted=3, duplicates=1)
    assert hub_source(context.loop, context.settings).partitions() == [DAYS[0]]
    assert "all of it is of 2026-11-16" in ingest(context, DAYS[1]).reason
    assert ingest(context, DAYS[0]).status == "unchanged"
    ingested = {DAYS[0]: record.inputs["drop"]}
    assert changed_days(context.loop, context.settings, ingested) == []
    shard(tmp_path / "reviews", "data/train-00001-of-00002.parquet", "d")
    assert changed_days(context.loop, context.settings, ingested) == [DAYS[0]]


def test_a_link_out_of_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    project, secret = tmp_path / "project", tmp_path / "secret.jsonl"
    (project / "reviews").mkdir(parents=True)
    shard(tmp_path, "secret.jsonl", "a")
    (project / "reviews/train.jsonl").symlink_to(secret)
    with pytest.raises(ConfigurationError, match="out of the allowed folders"):
        hub_source(hub_loop(format="jsonl"), Settings(root=project)).find(DAYS[0])


def test_a_column_deals_the_rows_to_days(tmp_path: Path) -> None:
    for number, day in enumerate(DAYS):
        shard(tmp_path / "reviews", f"train/{number}.jsonl", f"r{number}", at=f"{day}T10:00:00Z")
    columns = {**COLUMNS, "at": "timestamp"}
    loop = hub_loop(partition_by="at", columns=columns, format="jsonl")
    context = small_context(tmp_path, loop)
    assert hub_source(loop, context.settings).partitions() == list(DAYS)
    assert ingest(context, DAYS[1]).counts == Counts(read=1, accepted=1)


def test_files_without_a_split_in_their_names_are_train(tmp_path: Path) -> None:
    shard(tmp_path / "reviews", "reviews.jsonl", "a")
    source = hub_source(hub_loop(format="jsonl"), Settings(root=tmp_path))
    assert source.find(DAYS[0]) is not None
    with pytest.raises(ConfigurationError, match="no file of this split") as caught:
        hub_source(hub_loop(format="jsonl", split="test"), Settings(root=tmp_path)).find(DAYS[0])
    assert caught.value.found == "reviews.jsonl"


def test_a_data_set_in_the_cache_of_the_hub_is_read_and_one_that_is_not_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cached = tmp_path / f"cache/datasets--somebody--reviews/snapshots/{COMMIT}"
    shard(cached, "data/train-00000-of-00001.parquet", "a", "b")
    settings = Settings(root=tmp_path)
    delivery = hub_source(hub_loop(dataset=f"hub:somebody/reviews@{COMMIT}"), settings).find(DAYS[0])
    assert delivery is not None
    assert sum(block.read for block in delivery.blocks()) == 2
    missing = hub_source(hub_loop(dataset="hub:somebody/else@main"), settings)
    assert (missing.partitions(), missing.glance(DAYS[0]), missing.unread_bytes()) == ([DAYS[0]], None, None)
    with pytest.raises(ConfigurationError, match="the data set is not here") as caught:
        missing.find(DAYS[0])
    assert "HF_HUB_OFFLINE is set" in caught.value.found
    assert "hf download somebody/else --repo-type dataset --revision main" in caught.value.remedy


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"dataset": "hub:somebody/reviews"}, "hub:OWNER/NAME@REVISION"),
        ({"dataset": "https://host/reviews"}, "not a folder"),
        ({"day": None}, "which day are its rows of"),
        ({"partition_by": "at", "day": "2026-11-16"}, "which day are its rows of"),
    ],
)
def test_what_is_no_data_set_is_refused_by_check(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hub_loop(**keys)


@pytest.mark.parametrize("dated", [False, True])
def test_a_folder_with_shards_becomes_a_loop_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dated: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(root=tmp_path)
    for number in range(40):
        when = {"at": f"2026-11-{16 + number % 2}T10:00:00Z"} if dated else {}
        named = f"data/train-{number:05}-of-00040.jsonl"
        shard(tmp_path / "reviews", named, f"r{number}", team=["a", "b"][number % 2], **when)
    given = look_at(Pointer("reviews", "reviews", settings))
    loop = read_loop(propose("reviews", given, {}).text(), settings.loop_file("reviews"), settings)
    look = preview(loop, settings)
    assert (look.read, look.accepted, len(look.days)) == (40, 40, 2 if dated else 1)
    assert loop.source.kind == "hub"
