"""From a drop to raw and quarantine rows: nothing lost, duplicates dropped, counts that add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.durable import sha256_file
from lakeloop.errors import CountsError, TransientError
from lakeloop.lake.digest import content_digest, row_hashes
from lakeloop.lake.marks import digest_of
from lakeloop.lake.tables import QUARANTINE, raw_schema
from lakeloop.records import Counts
from lakeloop.sources import intake as intake_module
from lakeloop.sources.base import Block
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.formats.blocks import BlockMaker
from lakeloop.sources.intake import SHOWN_REJECTS
from tests.support.small_loop import small_loop
from tests.support.taken import Taken, taken

DAY = "2026-11-16"


def delivery_of(path: Path, lines: list[str]) -> FileDelivery:
    path.write_text("".join(f"{line}\n" for line in lines))
    return FileDelivery(path, sha256_file(path), "drops/day.jsonl", small_loop().source)


def read(path: Path, lines: list[str]) -> Taken:
    return taken(delivery_of(path, lines), small_loop(), DAY, path.parent)


def row(key: str, text: str = "words", label: str = "tech") -> str:
    return json.dumps({"id": key, "text": text, "label": label})


def test_every_line_is_accounted_for(tmp_path: Path) -> None:
    lines = [row("a"), row("b"), "broken", row("a"), '{"text": "no key"}', row("a", "other words")]
    intake, raw, quarantine = read(tmp_path / "drop", lines)
    assert intake.counts == Counts(read=6, accepted=3, quarantined=2, duplicates=1)
    assert intake.reasons == {"broken_json": 1, "missing_key": 1}
    assert intake.repeated_keys == 1
    assert raw.schema == raw_schema(small_loop())
    assert quarantine.schema == QUARANTINE
    assert raw.select(["id", "source_line", "source_file", "partition"]).to_pylist() == [
        {"id": key, "source_line": line, "source_file": "drops/day.jsonl", "partition": DAY}
        for key, line in (("a", 1), ("b", 2), ("a", 6))
    ]
    first = quarantine.to_pylist()[0]
    assert (first["raw"], first["source_line"], first["byte_offset"]) == (
        "broken",
        3,
        len("".join(lines[:2])) + 2,
    )


def test_a_duplicate_is_equal_values_and_not_equal_bytes(tmp_path: Path) -> None:
    again = '{ "label": "tech", "text": "words", "id": "a" }'
    assert read(tmp_path / "drop", [row("a"), again]).intake.counts.duplicates == 1


def test_duplicates_are_found_across_blocks(tmp_path: Path) -> None:
    lines = [row(f"k{number % 3000}", "x" * 100) for number in range(9000)]
    found = read(tmp_path / "drop", lines)
    assert found.intake.counts == Counts(read=9000, accepted=3000, duplicates=6000)
    assert found.raw["source_line"].to_pylist() == list(range(1, 3001))


def test_the_order_of_the_lines_decides_line_numbers_only(tmp_path: Path) -> None:
    lines = [row("a"), row("b"), "broken"]
    one, two = (read(tmp_path / "drop", each).raw for each in (lines, lines[::-1]))
    columns = ["id", "text", "label"]
    assert content_digest(one, columns) == content_digest(two, columns)
    assert content_digest(one) != content_digest(two)


def test_an_empty_drop_is_no_rows(tmp_path: Path) -> None:
    found = read(tmp_path / "drop", [])
    assert found.intake.counts == Counts(read=0, accepted=0)
    assert found.raw == raw_schema(small_loop()).empty_table()


def test_a_drop_of_bad_lines_only_is_quarantined_whole(tmp_path: Path) -> None:
    found = read(tmp_path / "drop", ["bad", "", "worse"])
    assert found.intake.counts == Counts(read=3, accepted=0, quarantined=3)
    assert found.quarantine["raw"].to_pylist() == ["bad", "", "worse"]


def test_the_first_bad_records_are_shown_with_place_reason_and_beginning(tmp_path: Path) -> None:
    shown = read(tmp_path / "drop", [row("a"), '{"id": 5}', *["bad"] * 100]).intake.shown
    first, second = shown[:2]
    assert (first.file, first.line, first.reason, first.column) == ("drops/day.jsonl", 2, "wrong_type", "id")
    assert (first.detail, first.raw) == ("id: expected string, found number 5", '{"id": 5}')
    assert (second.line, second.reason, second.column, second.raw) == (3, "broken_json", None, "bad")
    assert len(shown) == SHOWN_REJECTS


def test_a_file_that_changes_while_it_is_read_is_tried_again(tmp_path: Path) -> None:
    delivery = delivery_of(tmp_path / "drop", [row("a")])
    delivery_of(tmp_path / "drop", [row("a"), row("b")])
    with pytest.raises(TransientError, match="changed while"):
        taken(delivery, small_loop(), DAY, tmp_path)


def test_a_reader_that_loses_a_row_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = FileDelivery.blocks

    def forgetful(self: FileDelivery) -> Iterator[Block]:
        for block in blocks(self):
            yield Block(block.rows.slice(1), block.rejects, block.read)

    monkeypatch.setattr(FileDelivery, "blocks", forgetful)
    with pytest.raises(CountsError, match="are not the records read") as caught:
        read(tmp_path / "drop", [row("a"), row("b")])
    assert (caught.value.expected, caught.value.found) == ("2 records", "1 rows + 0 rejected")


def test_an_intake_that_loses_a_row_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "gathered", lambda batches, *_: [batch.slice(1) for batch in batches])
    with pytest.raises(CountsError, match=r"1 row\(s\) lost"):
        read(tmp_path / "drop", [row("a"), row("b")])


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    delivery = delivery_of(tmp_path / "drop", [row("a"), "bad"])
    assert taken(delivery, small_loop(), DAY, folder).raw.num_rows == 1
    assert list(folder.iterdir()) == []


def test_a_key_that_comes_again_with_other_content_is_counted_whatever_its_type(tmp_path: Path) -> None:
    columns = {"id": "integer", "text": "string", "label": "string"}
    loop = small_loop(source={**small_loop().source.model_dump(), "columns": columns})
    path = tmp_path / "drop"
    path.write_text(
        "".join(f'{{"id": {key}, "text": "{text}"}}\n' for key, text in ((1, "a"), (1, "b"), (2, "a")))
    )
    delivery = FileDelivery(path, sha256_file(path), "drop", loop.source)
    assert taken(delivery, loop, DAY, tmp_path).intake.repeated_keys == 1


def test_rows_and_bad_records_carry_the_file_that_their_block_names(tmp_path: Path) -> None:
    path = tmp_path / "drop"
    files = ("north.jsonl", "north.jsonl", None, "south.jsonl")

    class Several(FileDelivery):
        def blocks(self) -> Iterator[Block]:
            for file in files:
                path.write_text(f"{row('a', str(file))}\nbroken\n{row('b', str(file))}\n")
                yield from (replace(block, file=file) for block in super().blocks())

        def require_unchanged(self) -> None: ...

    delivery = Several(path, "", "drops/*.jsonl", small_loop().source)
    intake, raw, quarantine = taken(delivery, small_loop(), DAY, tmp_path)
    assert intake.counts == Counts(read=12, accepted=6, quarantined=4, duplicates=2)
    # Those of the second block were there before.
    assert raw["source_file"].to_pylist() == [
        *["north.jsonl"] * 2, *["drops/*.jsonl"] * 2, *["south.jsonl"] * 2,
    ]  # fmt: skip
    assert quarantine["source_file"].to_pylist() == [file or "drops/*.jsonl" for file in files]


def test_what_is_shown_has_no_control_character_and_is_short(tmp_path: Path) -> None:
    evil = '{"id": "a", "text": "\x1b]0;title\x07' + "x" * 1000
    number = json.dumps({"id": "b", "text": "words", "label": ["\x1b[31m" + "y" * 1000]})
    shown = read(tmp_path / "drop", [evil, number]).intake.shown
    for each in shown:
        assert (each.detail + each.raw).isprintable()
        assert len(each.raw) < 150
        assert len(each.detail) < 200
    assert "\\u001b[31m" in shown[1].detail


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CR LF"])
@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_many_empty_lines_are_refused_as_each_alone_would_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str, end: str
) -> None:
    good = {"jsonl": row("a"), "csv": "a,words,tech"}[format_]
    header = f"id,text,label{end}" if format_ == "csv" else ""
    source = {**small_loop().source.model_dump(), "format": format_}
    loop = small_loop(source=source)
    path = tmp_path / "drop"
    path.write_bytes(f"{header}{end * 300}{good}{end}{end * 5}{good}x{end}{end * 20_000}{good}".encode())

    def quarantine() -> pa.Table:
        delivery = FileDelivery(path, sha256_file(path), "drop", loop.source)
        intake, _, found = taken(delivery, loop, DAY, tmp_path)
        assert intake.counts.accepted + intake.counts.duplicates >= 2
        assert intake.reasons["blank_line"] == 20_305
        assert intake.lines == intake.counts.read
        return found

    at_once = quarantine()
    monkeypatch.setattr(BlockMaker, "empty_lines", lambda *_: None)
    assert at_once.equals(quarantine())


def test_a_row_is_named_by_its_hash_only_where_its_content_is_its_key(tmp_path: Path) -> None:
    source = {**small_loop().source.model_dump(), "key": None, "key_from": "content"}
    loop = small_loop(source=source)
    delivery = delivery_of(tmp_path / "drop", [row("a")])
    intake, raw, _ = taken(delivery, loop, DAY, tmp_path)
    (batch,) = raw.to_batches()
    assert raw["row_hash"].to_pylist() == [
        value.hex() for value in row_hashes(batch, ["id", "text", "label"])
    ]
    assert intake.raw_digest == digest_of("raw", raw.to_batches())
    assert read(tmp_path / "drop", [row("a")]).raw["row_hash"].to_pylist() == [None]
