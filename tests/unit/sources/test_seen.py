"""Deliveries that changed since they were ingested are found, and read only when they look changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lakeloop.settings import Settings
from lakeloop.sources.files import FileDrops
from lakeloop.sources.registry import open_source
from lakeloop.sources.seen import changed_days
from tests.support.small_loop import DAYS, small_loop

LOOP = small_loop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "drops").mkdir()
    for day in DAYS:
        file(tmp_path, day).write_text(f"{day}\n")
    return Settings(root=tmp_path)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The days whose delivery was read."""
    found: list[str] = []
    find = FileDrops.find

    def noted(source: FileDrops, partition: str) -> object:
        found.append(partition)
        return find(source, partition)

    monkeypatch.setattr(FileDrops, "find", noted)
    return found


def file(root: Path, day: str) -> Path:
    return root / f"drops/{day}.jsonl"


def identities(settings: Settings) -> dict[str, str]:
    source = FileDrops(LOOP, settings)
    return {day: found.identity for day in DAYS if (found := source.find(day))}


def test_what_looks_the_same_is_not_read(settings: Settings, read: list[str]) -> None:
    ingested = identities(settings)
    read.clear()
    assert changed_days(LOOP, settings, ingested) == []
    assert read == list(DAYS), "nobody looked before"
    read.clear()
    assert changed_days(LOOP, settings, ingested) == []
    assert read == []


def test_a_delivery_with_another_content_is_another_one(settings: Settings, read: list[str]) -> None:
    ingested = identities(settings)
    changed_days(LOOP, settings, ingested)
    read.clear()
    file(settings.root, DAYS[1]).write_text("other words\n")
    for _ in range(2):
        assert changed_days(LOOP, settings, ingested) == [DAYS[1]], "until it is ingested"
    assert read == [DAYS[1]]
    assert changed_days(LOOP, settings, identities(settings)) == []


def test_a_file_of_the_same_size_and_age_with_another_content_is_found(settings: Settings) -> None:
    ingested = identities(settings)
    changed_days(LOOP, settings, ingested)
    path = file(settings.root, DAYS[1])
    before = path.stat()
    path.write_text(DAYS[0] + "\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed_days(LOOP, settings, ingested) == [DAYS[1]]


def test_a_file_that_was_only_touched_is_read_once(settings: Settings, read: list[str]) -> None:
    ingested = identities(settings)
    changed_days(LOOP, settings, ingested)
    read.clear()
    os.utime(file(settings.root, DAYS[1]), ns=(1, 1))
    for _ in range(2):
        assert changed_days(LOOP, settings, ingested) == []
    assert read == [DAYS[1]]


def test_a_delivery_that_is_gone_is_no_other_one(settings: Settings) -> None:
    ingested = identities(settings)
    file(settings.root, DAYS[1]).unlink()
    assert changed_days(LOOP, settings, ingested) == []


def test_without_time_nothing_is_read(settings: Settings, read: list[str]) -> None:
    ingested = dict.fromkeys(DAYS, "sha256:another")
    assert changed_days(LOOP, settings, ingested, seconds=0.0) == []
    assert read == []
    assert changed_days(LOOP, settings, ingested) == list(DAYS)
    read.clear()
    assert changed_days(LOOP, settings, ingested, seconds=0.0) == list(DAYS), "they are known by now"
    assert read == []


def test_a_file_that_joins_the_others_of_its_day_makes_another_delivery(tmp_path: Path) -> None:
    loop = small_loop(source={**LOOP.source.model_dump(), "path": "drops/{partition}/*.jsonl"})
    settings = Settings(root=tmp_path)
    folder = tmp_path / "drops" / DAYS[0]
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("{}\n")
    source = open_source(loop, settings)
    delivery = source.find(DAYS[0])
    assert delivery is not None
    ingested, before = {DAYS[0]: delivery.identity}, source.glance(DAYS[0])
    assert changed_days(loop, settings, ingested) == []
    (folder / "b.jsonl").write_text("{}\n")
    assert source.glance(DAYS[0]) != before
    assert changed_days(loop, settings, ingested) == [DAYS[0]]
    assert source.glance(DAYS[1]) is None


def test_of_many_days_in_one_file_only_those_whose_records_changed_are_others(tmp_path: Path) -> None:
    columns = {"id": "string", "text": "string", "label": "string", "at": "timestamp"}
    fields = {"path": "drops/all.jsonl", "columns": columns, "partition_by": "at"}
    loop = small_loop(source={**LOOP.source.model_dump(), **fields})
    settings = Settings(root=tmp_path)
    (tmp_path / "drops").mkdir()

    def put(*texts: str) -> None:
        rows = [
            {"id": day, "text": text, "label": "tech", "at": f"{day}T08:00:00Z"}
            for day, text in zip(DAYS, texts, strict=False)
        ]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (tmp_path / "drops/all.jsonl").write_text(lines)

    put("one", "two")
    source = open_source(loop, settings)
    ingested = {day: found.identity for day in DAYS[:2] if (found := source.find(day))}
    assert len(ingested) == 2
    assert changed_days(loop, settings, ingested) == []
    put("one", "another two", "three")
    assert changed_days(loop, settings, ingested) == [DAYS[1]]
    assert source.glance(DAYS[2]) is not None
