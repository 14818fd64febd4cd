"""What a new source and a new format cost: a class or a function, and one line in a registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import pyarrow as pa
import pytest

from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.sources.base import Block, row_schema
from lakeloop.sources.formats.lines import LineReader
from lakeloop.sources.formats.registry import FORMATS, Format
from lakeloop.sources.registry import KINDS
from lakeloop.sources.rejects import LineError, Reason, Reject
from lakeloop.sources.values import Value
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.source import FilesSource, Source
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.pending import work_left
from tests.support.small_loop import small_context, small_loop

DAY = "2026-11-16"


def test_every_source_and_format_that_a_loop_file_may_name_can_be_read_and_no_other() -> None:
    assert set(KINDS) == set(kinds_of(Source))
    assert set(FORMATS) == set(get_args(SourceBase.model_fields["format"].annotation))


class TableSource(SourceBase):
    """As in a loop file: rows of another team's table, by its version."""

    kind: Literal["table"]
    version: int


class LoopOfTables(LoopSpec):
    source: TableSource  # type: ignore[assignment]  # as if the union of `spec.source` had it


class PipesSource(FilesSource):
    format: Literal["pipes"]  # type: ignore[assignment]  # as if the list of `spec.contract` had it


class LoopOfPipes(LoopSpec):
    source: PipesSource


class TableDelivery:
    """Rows that are no file: named by a version, without lines or bytes."""

    where = "db.example/tickets"

    def __init__(self, source: TableSource, day: str) -> None:
        self.name = f"tickets/{day}"
        self.identity = f"version:{source.version}"
        self._source = source

    def blocks(self) -> Iterator[Block]:
        schema = row_schema(self._source)
        for place in (1, 2):
            row = {"id": f"r{place}", "text": "words", "label": "tech", "source_line": place}
            yield Block(pa.RecordBatch.from_pylist([row], schema), (), 1)
        bad = Reject(3, 0, Reason.WRONG_TYPE, "id: expected string, found number", '{"id": 5}', "id")
        yield Block(pa.RecordBatch.from_pylist([], schema), (bad,), 1)

    def require_unchanged(self) -> None: ...


class Tables:
    replays = False
    place = "tickets"

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, TableSource)
        self._source = loop.source

    def find(self, partition: str) -> TableDelivery | None:
        return TableDelivery(self._source, partition) if partition in self.partitions() else None

    def glance(self, partition: str) -> str | None:
        return f"version {self._source.version}" if partition in self.partitions() else None

    def unread_bytes(self) -> int:
        return 0

    def absence(self, partition: str) -> str:
        return f"tickets has no rows of {partition}"

    def partitions(self) -> list[str]:
        return [DAY]


class PipeLines:
    """`id|text|label`, line by line only."""

    def parse_block(self, block: bytes, lines: int) -> list[pa.Array] | None:
        return None

    def parse_record(self, text: str) -> dict[str, Value | None]:
        fields = text.split("|")
        if len(fields) != 3:
            raise LineError(Reason.COLUMN_COUNT, f"expected 3 fields, found {len(fields)}")
        return dict(zip(("id", "text", "label"), fields, strict=True))


def read_pipes(file: BinaryIO, where: str, source: SourceBase) -> Iterator[Block]:
    return LineReader(file, source).blocks(PipeLines())


def test_a_source_without_files_goes_through_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "table", Tables)
    small = small_loop()
    source = TableSource(kind="table", version=7, key="id", columns=small.source.columns)
    loop = LoopOfTables.model_validate({**small.model_dump(exclude_unset=True), "source": source})
    context = small_context(tmp_path, loop)
    record = ingest(context, DAY)
    assert record.counts == Counts(read=3, accepted=2, quarantined=1)
    assert record.inputs == {"drop": "version:7"}
    assert record.links["drop"] == "db.example/tickets"
    assert context.lake.read("raw", partition=DAY)["source_file"].to_pylist() == [f"tickets/{DAY}"] * 2
    assert context.lake.read("quarantine", partition=DAY)["raw"].to_pylist() == ['{"id": 5}']
    assert ingest(context, DAY).status == "unchanged"
    assert ingest(context, "2026-11-17").reason == "tickets has no rows of 2026-11-17"
    later = source.model_copy(update={"version": 8})
    moved = replace(context, loop=loop.model_copy(update={"source": later}))
    assert [(step.stage, step.partition) for step in work_left(moved) if step.stage == "ingest"] == [
        ("ingest", DAY)
    ]


def test_a_format_goes_through_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "pipes", Format(read_pipes, (".pipes",)))
    small = small_loop()
    source = {**small.source.model_dump(), "format": "pipes"}
    loop = LoopOfPipes.model_validate({**small.model_dump(exclude_unset=True), "source": source})
    context = small_context(tmp_path, loop)
    drops = tmp_path / "drops"
    drops.mkdir()
    (drops / f"{DAY}.jsonl").write_text("a|words|tech\nb|words\na|words|tech\n")
    record = ingest(context, DAY)
    assert record.counts == Counts(read=3, accepted=1, quarantined=1, duplicates=1)
    assert context.lake.read("quarantine")["reason"].to_pylist() == ["column_count"]
