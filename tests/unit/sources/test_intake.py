"""From a drop to raw and quarantine rows: nothing lost, duplicates dropped, counts that add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakeloop.durable import sha256_file
from lakeloop.errors import CountsError, TransientError
from lakeloop.lake.digest import content_digest
from lakeloop.lake.tables import QUARANTINE, raw_schema
from lakeloop.records import Counts
from lakeloop.sources.base import Drop
from lakeloop.sources.intake import take_in
from lakeloop.sources.lines import Block, LineReader
from tests.support.small_loop import small_loop

DAY = "2026-11-16"


def drop_of(path: Path, lines: list[str]) -> Drop:
    path.write_text("".join(f"{line}\n" for line in lines))
    return Drop(path, sha256_file(path), "drops/day.jsonl")


def row(key: str, text: str = "words", label: str = "tech") -> str:
    return json.dumps({"id": key, "text": text, "label": label})


def test_every_line_is_accounted_for(tmp_path: Path) -> None:
    lines = [row("a"), row("b"), "broken", row("a"), '{"text": "no key"}', row("a", "other words")]
    intake = take_in(drop_of(tmp_path / "drop", lines), small_loop(), DAY)
    assert intake.counts == Counts(read=6, accepted=3, quarantined=2, duplicates=1)
    assert intake.reasons == {"broken_json": 1, "missing_key": 1}
    assert intake.repeated_keys == 1
    assert intake.raw.schema == raw_schema(small_loop())
    assert intake.quarantine.schema == QUARANTINE
    assert intake.raw.select(["id", "source_line", "source_file", "partition"]).to_pylist() == [
        {"id": key, "source_line": line, "source_file": "drops/day.jsonl", "partition": DAY}
        for key, line in (("a", 1), ("b", 2), ("a", 6))
    ]
    first = intake.quarantine.to_pylist()[0]
    assert (first["raw"], first["source_line"], first["byte_offset"]) == (
        "broken",
        3,
        len("".join(lines[:2])) + 2,
    )


def test_a_duplicate_is_equal_values_and_not_equal_bytes(tmp_path: Path) -> None:
    again = '{ "label": "tech", "text": "words", "id": "a" }'
    intake = take_in(drop_of(tmp_path / "drop", [row("a"), again]), small_loop(), DAY)
    assert intake.counts.duplicates == 1


def test_duplicates_are_found_across_blocks(tmp_path: Path) -> None:
    lines = [row(f"k{number % 3000}", "x" * 100) for number in range(9000)]
    intake = take_in(drop_of(tmp_path / "drop", lines), small_loop(), DAY)
    assert intake.counts == Counts(read=9000, accepted=3000, duplicates=6000)
    assert intake.raw["source_line"].to_pylist() == list(range(1, 3001))


def test_the_order_of_the_lines_decides_line_numbers_only(tmp_path: Path) -> None:
    lines = [row("a"), row("b"), "broken"]
    one, two = (
        take_in(drop_of(tmp_path / name, order), small_loop(), DAY)
        for name, order in (("one", lines), ("two", lines[::-1]))
    )
    columns = ["id", "text", "label", "row_hash"]
    assert content_digest(one.raw, columns) == content_digest(two.raw, columns)


def test_an_empty_drop_is_no_rows(tmp_path: Path) -> None:
    intake = take_in(drop_of(tmp_path / "drop", []), small_loop(), DAY)
    assert intake.counts == Counts(read=0, accepted=0)
    assert intake.raw.schema == raw_schema(small_loop())


def test_a_drop_of_bad_lines_only_is_quarantined_whole(tmp_path: Path) -> None:
    intake = take_in(drop_of(tmp_path / "drop", ["bad", "", "worse"]), small_loop(), DAY)
    assert intake.counts == Counts(read=3, accepted=0, quarantined=3)


def test_a_file_that_changes_while_it_is_read_is_tried_again(tmp_path: Path) -> None:
    drop = drop_of(tmp_path / "drop", [row("a")])
    drop_of(tmp_path / "drop", [row("a"), row("b")])
    with pytest.raises(TransientError, match="changed while"):
        take_in(drop, small_loop(), DAY)


def test_a_reader_that_loses_a_row_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = LineReader.__iter__

    def forgetful(self: LineReader) -> Iterator[Block]:
        for block in read(self):
            yield Block(block.rows.slice(1), block.rejects, block.lines)

    monkeypatch.setattr(LineReader, "__iter__", forgetful)
    with pytest.raises(CountsError, match=r"1 row\(s\) lost"):
        take_in(drop_of(tmp_path / "drop", [row("a"), row("b")]), small_loop(), DAY)
