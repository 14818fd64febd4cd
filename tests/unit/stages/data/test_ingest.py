"""The stage `ingest` on a real lake: what it publishes, records and refuses."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, CountsError, DataError, FenceError, TransientError
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import QUARANTINE
from lakeloop.records import Counts
from lakeloop.sources.base import Block
from lakeloop.sources.delivery import FileDelivery
from lakeloop.spec.days import yesterday
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from tests.support.small_loop import small_context, small_loop

DAY = "2026-11-16"


def row(key: str, text: str = "words") -> str:
    return json.dumps({"id": key, "text": text, "label": "tech"})


def put(context: StageContext, lines: list[str], day: str = DAY) -> Path:
    path = context.settings.root / "drops" / f"{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return small_context(tmp_path)


def test_a_drop_is_published_with_its_counts(context: StageContext) -> None:
    put(context, [row("a"), "broken", row("a"), row("b")])
    record = ingest(context, DAY)
    assert (record.status, record.counts) == (
        "done",
        Counts(read=4, accepted=2, quarantined=1, duplicates=1),
    )
    assert record.reason == (
        "4 record(s) of drops/2026-11-16.jsonl: 2 accepted, 1 quarantined (broken_json 1), "
        "1 exact duplicate(s) dropped"
    )
    assert context.lake.digest("raw", partition=DAY) == record.outputs["raw"]
    assert context.lake.digest("quarantine", partition=DAY, stage="ingest") == record.outputs["quarantine"]
    pinned = context.lake.read("raw", version=int(record.outputs["raw_version"]), partition=DAY)
    assert pinned["id"].to_pylist() == ["a", "b"]
    assert context.lake.ledger.latest("ingest", DAY) == record


def test_the_same_drop_again_is_unchanged_and_writes_nothing(context: StageContext) -> None:
    put(context, [row("a")])
    first = ingest(context, DAY)
    versions = [context.lake.version(table) for table in ("raw", "quarantine", "ledger", "claims")]
    again = ingest(context, DAY)
    assert again.status == "unchanged"
    assert (again.outputs, again.counts) == (first.outputs, first.counts)
    assert versions == [context.lake.version(table) for table in ("raw", "quarantine", "ledger", "claims")]


def test_a_restated_day_replaces_rows_and_clears_its_quarantine(context: StageContext) -> None:
    put(context, [row("a"), row("b"), "broken"])
    first = ingest(context, DAY)
    put(context, [row("c")])
    second = ingest(context, DAY)
    assert second.fingerprint != first.fingerprint
    assert context.lake.read("raw")["id"].to_pylist() == ["c"]
    assert context.lake.read("quarantine").num_rows == 0
    put(context, [row("a"), row("b"), "broken"])
    third = ingest(context, DAY)
    assert third.status == "done"
    assert {name: third.outputs[name] for name in ("raw", "quarantine")} == {
        name: first.outputs[name] for name in ("raw", "quarantine")
    }


def test_days_are_separate(context: StageContext) -> None:
    put(context, [row("a")])
    put(context, [row("b")], "2026-11-17")
    ingest(context, DAY)
    ingest(context, "2026-11-17")
    assert context.lake.read("raw", partition=DAY)["id"].to_pylist() == ["a"]
    assert context.lake.read("raw").num_rows == 2


def test_a_day_without_a_drop_is_skipped_and_says_where_it_looked(context: StageContext) -> None:
    record = ingest(context, DAY)
    assert record.status == "skipped"
    assert str(context.settings.root / "drops" / f"{DAY}.jsonl") in record.reason
    assert context.lake.version("raw") == 0


@pytest.mark.parametrize("partition", ["yesterday", "2026-13-01", "2026-11-16/..", ""])
def test_a_partition_that_is_no_day_is_refused(context: StageContext, partition: str) -> None:
    with pytest.raises(ConfigurationError, match="not a day"):
        ingest(context, partition)


def test_a_broken_counter_publishes_nothing(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    put(context, [row("a"), row("b"), "broken"])
    from lakeloop.sources import intake

    def lossy(*args: Any) -> Any:
        return pa.RecordBatch.from_pylist([], QUARANTINE)

    monkeypatch.setattr(intake, "_quarantine_rows", lossy)
    with pytest.raises(CountsError, match=r"1 row\(s\) lost"):
        ingest(context, DAY)
    assert (context.lake.version("raw"), context.lake.version("quarantine")) == (0, 0)
    assert context.lake.ledger.entries() == []


def test_a_drop_that_changes_while_it_is_read_publishes_nothing_and_is_read_again(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(context, [row("a")])
    blocks = FileDelivery.blocks

    def growing(self: FileDelivery) -> Iterator[Block]:
        with path.open("a") as file:
            file.write(row("b") + "\n")
        yield from blocks(self)

    with monkeypatch.context() as patch:
        patch.setattr(FileDelivery, "blocks", growing)
        with pytest.raises(TransientError, match="changed while it was read"):
            ingest(context, DAY)
    assert (context.lake.version("raw"), context.lake.version("quarantine")) == (0, 0)
    assert context.lake.ledger.entries() == []
    assert ingest(context, DAY).counts == Counts(read=2, accepted=2)


def test_a_wrong_csv_header_publishes_nothing(tmp_path: Path) -> None:
    source = {**small_loop().source.model_dump(), "path": "drops/{partition}.csv", "format": "csv"}
    context = small_context(tmp_path, small_loop(source=source))
    (tmp_path / "drops").mkdir()
    (tmp_path / "drops" / f"{DAY}.csv").write_text("key,colour\n1,red\n")
    with pytest.raises(DataError, match="header"):
        ingest(context, DAY)
    assert context.lake.version("raw") == 0


def overtake(context: StageContext, folder: Path) -> None:
    """A later try of the same run ingests another drop."""
    put(context, [row("b"), row("c")])
    ingest(small_context(folder, attempt=Attempt("test-run", 2)), DAY)


def assert_only_the_newer_try_left_something(context: StageContext) -> None:
    assert context.lake.read("raw")["id"].to_pylist() == ["b", "c"]
    assert [entry.provenance.try_number for entry in context.lake.ledger.entries()] == [2]


def test_an_attempt_that_is_overtaken_while_it_reads_publishes_nothing(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(context, [row("a")])
    from lakeloop.sources import intake

    read = intake.read_delivery

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(intake, "read_delivery", read)
        overtake(context, tmp_path)
        put(context, [row("a")])
        return read(*args)

    monkeypatch.setattr(intake, "read_delivery", overtaken)
    with pytest.raises(FenceError, match="took over"):
        ingest(context, DAY)
    assert_only_the_newer_try_left_something(context)


def test_an_attempt_that_is_overtaken_after_it_has_published_leaves_no_record(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(context, [row("a")])
    record = Lake.record

    def overtaken(*args: Any) -> None:
        monkeypatch.setattr(Lake, "record", record)
        overtake(context, tmp_path)
        record(*args)

    monkeypatch.setattr(Lake, "record", overtaken)
    with pytest.raises(FenceError, match="took over"):
        ingest(context, DAY)
    assert_only_the_newer_try_left_something(context)


def test_no_text_of_a_row_reaches_the_tracker(context: StageContext) -> None:
    put(context, [row("a", "a secret story"), '{"id": "b", "text": "a secret story'])
    ingest(context, DAY)
    journals = list(context.settings.journals.rglob("*"))
    written = [path for path in journals if path.is_file()]
    assert written
    assert not any(b"a secret story" in path.read_bytes() for path in written)


def test_fields_that_are_not_declared_are_named_with_their_rows(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    put(context, [json.dumps({**json.loads(row("a")), "mood": "good", "\x1b[31m": 1}), row("b")])
    record = ingest(context, DAY)
    assert record.counts == Counts(read=2, accepted=2)
    assert record.reason.endswith("; fields not declared: mood 1, \\x1b[31m 1")
    assert record.metrics["undeclared_fields"] == 2


@pytest.mark.parametrize("rows", [1, 0])
def test_a_column_that_is_in_no_row_is_named_and_what_it_may_be_called_now(tmp_path: Path, rows: int) -> None:
    context = small_context(tmp_path)
    renamed = {
        "Story Text" if name == "text" else name: value for name, value in json.loads(row("a")).items()
    }
    put(context, [json.dumps(renamed)] * rows)
    reason = ingest(context, DAY).reason
    told = "; fields not declared: Story Text 1; no value in any row: text (is it Story Text now?)"
    assert reason.endswith(told) == bool(rows)
    assert ("no value" in reason) == bool(rows)


def due(context: StageContext) -> list[tuple[str, str, str]]:
    return [
        (step.stage, step.partition, step.reason) for step in work_left(context) if step.stage == "ingest"
    ]


def test_a_drop_that_changed_or_came_late_is_due_until_it_is_ingested(context: StageContext) -> None:
    days = ["2026-11-15", DAY, "2026-11-17", "2026-11-18", "2026-11-19"]
    for day in (days[1], days[4]):
        put(context, [row("a")], day)
        ingest(context, day)
    assert ingest(context, days[2]).status == "skipped"
    assert due(context) == []
    put(context, [row("a")], days[0])  # older than the first: nobody wanted it
    put(context, [row("b")], days[2])  # was not there when its run came
    put(context, [row("b")], days[3])  # no run ever came
    put(context, [row("a"), row("b")], days[4])
    assert due(context) == [
        ("ingest", days[2], f"the drop of {days[2]} was never ingested"),
        ("ingest", days[3], f"the drop of {days[3]} was never ingested"),
        ("ingest", days[4], f"the drop of {days[4]} is another one since it was ingested"),
    ]
    for day in days[2:]:
        assert ingest(context, day).status == "done"
    assert due(context) == []


def test_a_drop_that_was_only_touched_is_not_due(context: StageContext) -> None:
    path = put(context, [row("a")])
    ingest(context, DAY)
    os.utime(path, ns=(1, 1))
    assert due(context) == []


def test_a_drop_that_changed_is_due_in_a_lake_that_knows_its_identity_only(context: StageContext) -> None:
    put(context, [row("a")])
    ingest(context, DAY)
    (context.work("ingest", DAY) / "seen.json").unlink()
    assert due(context) == []
    (context.work("ingest", DAY) / "seen.json").unlink()
    put(context, [row("b")])
    assert [reason for _, _, reason in due(context)] == [
        f"the drop of {DAY} is another one since it was ingested"
    ]


def test_a_drop_that_is_not_whole_yet_is_not_compared(context: StageContext) -> None:
    today = day_after(yesterday("UTC"))
    put(context, [row("a")], today)
    ingest(context, today)
    put(context, [row("a"), row("b")], today)
    assert due(context) == []


def day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def test_the_first_refused_records_are_in_the_record_and_no_text_in_its_reason(
    context: StageContext,
) -> None:
    put(context, [row("a"), *[f'{{"id": {number}, "text": "private"}}' for number in range(9)]])
    record = ingest(context, DAY)
    assert len(record.examples) == 5
    assert record.examples[0] == (
        "drops/2026-11-16.jsonl, line 2: wrong_type: id: expected string, found number 0; "
        'the record: {"id": 0, "text": "private"}'
    )
    assert "private" not in record.reason


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_text_of_several_lines_is_one_record_of_a_csv_drop(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    small = small_loop()
    source = {**small.source.model_dump(mode="json", exclude_unset=True), "format": "csv"}
    content = {**small.model_dump(mode="json", exclude_unset=True), "source": source}
    context = small_context(tmp_path, LoopSpec.model_validate_json(json.dumps(content)))
    path = context.settings.root / "drops" / f"{DAY}.jsonl"
    path.parent.mkdir()
    path.write_bytes(
        pack(b'id,text,label\n1,"Hello,\nI ordered, but nothing, tech\nBye",tech\n2,words,tech\n')
    )
    record = ingest(context, DAY)
    assert record.reason.startswith("2 record(s) in 4 lines of drops/")
    rows = context.lake.read("raw", partition=DAY).select(["id", "text", "source_line"]).to_pylist()
    assert rows == [
        {"id": "1", "text": "Hello,\nI ordered, but nothing, tech\nBye", "source_line": 2},
        {"id": "2", "text": "words", "source_line": 5},
    ]
