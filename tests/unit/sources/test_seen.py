"""Deliveries that changed since they were ingested are found, and read only when they look changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lakeloop.settings import Settings
from lakeloop.sources.files import FileDrops
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
