"""Publishing and reading: what replaces what, who may, and what the digest says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from lakeloop.attempt import Attempt
from lakeloop.durable import fsync_directory, fsync_file
from lakeloop.errors import ConfigurationError, CountsError, DataError, FenceError
from lakeloop.lake import delta as delta_module
from lakeloop.lake.digest import content_digest
from lakeloop.lake.marks import PREFIX
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import EVALUATIONS, PREDICTIONS, QUARANTINE
from tests.support.small_loop import MART, mart_rows, small_loop

DAY, OTHER_DAY = "2026-11-16", "2026-11-17"
RUN = Attempt("run", 1)


def rows(day: str = DAY, count: int = 3, first: int = 0) -> pa.Table:
    return pa.Table.from_pylist(mart_rows(day, count, first=first), MART)


def publish(lake: Lake, day: str = DAY, count: int = 3, first: int = 0) -> Any:
    fence = lake.claim("validate", day, RUN)
    return lake.replace("mart", rows(day, count, first), where={"partition": day}, fence=fence)


def quarantined(stage: str, lines: int) -> pa.Table:
    return pa.Table.from_pylist(
        [{"partition": DAY, "stage": stage, "reason": "broken_json", "source_line": n} for n in range(lines)],
        QUARANTINE,
    )


def test_a_replace_replaces_its_partition_only(lake: Lake) -> None:
    publish(lake, OTHER_DAY, 4)
    publish(lake, DAY, 3)
    publish(lake, DAY, 2, first=7)
    assert sorted(lake.read("mart", partition=DAY)["row_id"].to_pylist()) == [f"{DAY}-7", f"{DAY}-8"]
    assert lake.read("mart").num_rows == 6


def test_no_rows_clear_a_partition_and_clear_it_again(lake: Lake) -> None:
    publish(lake, DAY, 3)
    assert publish(lake, DAY, 0).rows == 0
    assert publish(lake, DAY, 0).rows == 0
    assert lake.read("mart").num_rows == 0


def test_the_stages_of_a_partition_have_separate_quarantines(lake: Lake) -> None:
    for stage in ("ingest", "validate"):
        fence = lake.claim(stage, DAY, RUN)
        where = {"partition": DAY, "stage": stage}
        lake.replace("quarantine", quarantined(stage, 2), where=where, fence=fence)
    fence = lake.claim("ingest", DAY, RUN)
    where = {"partition": DAY, "stage": "ingest"}
    lake.replace("quarantine", quarantined("ingest", 0), where=where, fence=fence)
    assert lake.read("quarantine")["stage"].to_pylist() == ["validate", "validate"]


def test_the_digest_of_a_publish_is_the_digest_of_what_is_read(lake: Lake) -> None:
    published = publish(lake)
    assert published.digest == lake.digest("mart", partition=DAY)
    assert published.digest == lake.digest("mart", version=published.version, partition=DAY)
    assert publish(lake).digest == published.digest
    assert publish(lake, count=2).digest != published.digest


def test_rows_that_had_a_digest_of_before_go_on_having_it(lake: Lake) -> None:
    before = content_digest(rows())
    fence = lake.claim("validate", DAY, RUN)
    published = lake.replace("mart", rows(), where={"partition": DAY}, fence=fence, like=before)
    assert published.digest == before == lake.digest("mart", partition=DAY, like=before)
    assert publish(lake).digest.startswith(PREFIX)


def test_a_pinned_version_stays_what_it_was(lake: Lake) -> None:
    first = publish(lake, count=3)
    publish(lake, count=1)
    assert lake.read("mart", version=first.version).num_rows == 3
    assert lake.read("mart").num_rows == 1
    assert lake.version("mart") == first.version + 1
    assert len(lake.dataset("mart", version=first.version, partition=DAY).files) == 1
    assert lake.dataset("mart", version=first.version, partition=OTHER_DAY).files == []


def test_versions_with_the_same_files_of_a_day_have_its_same_rows(lake: Lake) -> None:
    first = publish(lake, DAY).version
    second = publish(lake, OTHER_DAY).version
    assert lake.same_rows("mart", first, second, partition=DAY)
    assert not lake.same_rows("mart", first, second, partition=OTHER_DAY)
    third = publish(lake, DAY, 2).version
    assert not lake.same_rows("mart", first, third, partition=DAY)
    assert not lake.same_rows("mart", third + 7, third, partition=DAY), "of a version that is not known"


def test_a_scan_streams_the_rows_of_the_columns_asked_for(lake: Lake) -> None:
    publish(lake)
    batches = list(lake.scan("mart", columns=["text"], partition=DAY))
    assert [batch.schema.names for batch in batches] == [["text"]]
    assert sum(batch.num_rows for batch in batches) == 3


def test_columns_may_come_in_any_order_and_those_of_where_may_be_left_out(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, RUN)
    shuffled = rows().select(list(reversed(MART.names))).drop_columns(["partition"])
    lake.replace("mart", shuffled, where={"partition": DAY}, fence=fence)
    assert lake.read("mart").schema == MART


def streamed(table: pa.Table, rows_a_batch: int = 1) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(table.schema, iter(table.to_batches(rows_a_batch)))


def test_a_stream_publishes_what_a_table_publishes(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, RUN)
    published = lake.replace("mart", streamed(rows(count=5)), where={"partition": DAY}, fence=fence)
    assert (published.rows, published.digest) == (5, publish(lake, count=5).digest)
    assert lake.read("mart", version=published.version) == lake.read("mart")


def test_a_stream_without_rows_clears_the_partition(lake: Lake) -> None:
    publish(lake)
    fence = lake.claim("validate", DAY, RUN)
    published = lake.replace("mart", streamed(MART.empty_table()), where={"partition": DAY}, fence=fence)
    assert (published.rows, lake.read("mart").num_rows) == (0, 0)
    assert published.digest == lake.digest("mart", partition=DAY)


def test_a_stream_that_fails_in_the_middle_changes_nothing_and_its_error_stays(lake: Lake) -> None:
    publish(lake)
    version, files = lake.version("mart"), set(Path(lake.uri("mart")).rglob("*.parquet"))

    def failing() -> Iterator[pa.RecordBatch]:
        yield from rows(count=2, first=7).to_batches()
        raise CountsError("a row is missing")

    fence = lake.claim("validate", DAY, RUN)
    stream = pa.RecordBatchReader.from_batches(MART, failing())
    with pytest.raises(CountsError, match="a row is missing"):
        lake.replace("mart", stream, where={"partition": DAY}, fence=fence)
    assert lake.version("mart") == version
    assert set(Path(lake.uri("mart")).rglob("*.parquet")) == files
    assert lake.read("mart")["row_id"].to_pylist() == [f"{DAY}-{n}" for n in range(3)]


@pytest.mark.parametrize("wrong", [rows(count=2).drop_columns(["label"]), rows(OTHER_DAY)])
def test_a_stream_of_other_columns_or_another_partition_is_refused(lake: Lake, wrong: pa.Table) -> None:
    fence = lake.claim("validate", DAY, RUN)
    both = streamed(pa.concat_tables([rows(count=1).select(wrong.column_names), wrong]))
    with pytest.raises(DataError, match=r"other columns|another partition"):
        lake.replace("mart", both, where={"partition": DAY}, fence=fence)
    assert lake.version("mart") == 0


def test_a_claim_while_the_rows_are_written_stops_the_commit(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, RUN)

    def overtaken() -> Iterator[pa.RecordBatch]:
        yield from rows().to_batches()
        lake.claim("validate", DAY, Attempt("run", 2))

    stream = pa.RecordBatchReader.from_batches(MART, overtaken())
    with pytest.raises(FenceError, match="took over"):
        lake.replace("mart", stream, where={"partition": DAY}, fence=fence)
    assert lake.version("mart") == 0


def test_a_commit_of_another_day_in_between_is_no_conflict(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after the look at the partition and before the commit, twice."""
    look = delta_module._paths
    others = iter((OTHER_DAY, "2026-11-18"))

    def look_then_be_overtaken(*args: Any) -> set[str]:
        found = look(*args)
        monkeypatch.setattr(delta_module, "_paths", look)
        if day := next(others, None):
            publish(lake, day)
            monkeypatch.setattr(delta_module, "_paths", look_then_be_overtaken)
        return found

    fence = lake.claim("validate", DAY, RUN)
    monkeypatch.setattr(delta_module, "_paths", look_then_be_overtaken)
    published = lake.replace("mart", rows(count=2), where={"partition": DAY}, fence=fence)
    assert published.version == 3
    assert [lake.read("mart", partition=day).num_rows for day in (DAY, OTHER_DAY, "2026-11-18")] == [2, 3, 3]


def test_maintenance_makes_one_file_of_the_days_of_a_stream(lake: Lake) -> None:
    for first in range(3):
        publish(lake, DAY, 2, first=first)
        publish(lake, OTHER_DAY, 2, first=first)
    before = lake.digest("mart")
    DeltaTable(lake.uri("mart")).optimize.compact()
    DeltaTable(lake.uri("mart")).create_checkpoint()
    assert lake.digest("mart") == before
    assert publish(lake, DAY, 2, first=2).rows == 2
    assert lake.digest("mart") == before


def test_a_replace_may_leave_the_finer_partitions_to_the_rows(lake: Lake) -> None:
    def judged(*candidates: str) -> pa.Table:
        listed = [{"partition": DAY, "candidate": name, "row_id": "r1"} for name in candidates]
        return pa.Table.from_pylist(listed, EVALUATIONS)

    for candidates in (("baseline", "finetune"), ("finetune", "another", "finetune")):
        fence = lake.claim("evaluate", DAY, RUN)
        published = lake.replace("evaluations", judged(*candidates), where={"partition": DAY}, fence=fence)
        assert published.digest == lake.digest("evaluations", partition=DAY)
        assert sorted(lake.read("evaluations")["candidate"].to_pylist()) == sorted(candidates)
    assert lake.read("evaluations", candidate="another").num_rows == 1


def test_other_columns_are_refused_by_name(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, RUN)
    with pytest.raises(DataError) as caught:
        lake.replace("mart", rows().drop_columns(["label"]), where={"partition": DAY}, fence=fence)
    assert "label" in caught.value.expected
    assert "label" not in caught.value.found


def test_rows_of_another_partition_are_refused(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, RUN)
    with pytest.raises(DataError, match="another partition"):
        lake.replace("mart", rows(OTHER_DAY), where={"partition": DAY}, fence=fence)


def test_rows_of_several_partitions_are_replaced_in_one_commit(lake: Lake) -> None:
    """The answers of all models of a day: those of a model that is not judged any more are gone."""

    def answers(*models: str) -> pa.Table:
        names = ("candidate", "model_digest", "row_id", "expected", "answer", "split")
        return pa.Table.from_pylist([dict.fromkeys(names, model) for model in models])

    for models in (("baseline", "finetune", "finetune"), ("baseline", "champion")):
        before, fence = lake.version("evaluations"), lake.claim("evaluate", DAY, RUN)
        published = lake.replace("evaluations", answers(*models), where={"partition": DAY}, fence=fence)
        assert published.version == before + 1
    found = lake.read("evaluations", partition=DAY)
    assert sorted(found["candidate"].to_pylist()) == ["baseline", "champion"]
    assert (published.rows, published.digest) == (2, lake.digest("evaluations", partition=DAY))


@pytest.mark.parametrize("where", [{}, {"partition": OTHER_DAY}, {"partition": DAY, "label": "tech"}])
def test_a_fence_is_good_for_its_partition_only(lake: Lake, where: dict[str, str]) -> None:
    fence = lake.claim("validate", DAY, RUN)
    with pytest.raises(ValueError, match="expected partition"):
        lake.replace("mart", rows(OTHER_DAY), where=where, fence=fence)


@pytest.mark.parametrize("partition", ["", "x' OR '1' = '1", "../up", "a/b", "2026-11-16'", "a\0"])
def test_a_partition_that_could_leave_its_quotes_is_refused(lake: Lake, partition: str) -> None:
    with pytest.raises(ConfigurationError, match="partition value"):
        lake.claim("ingest", partition, RUN)


def test_a_table_that_is_appended_to_is_not_replaced(lake: Lake) -> None:
    fence = lake.claim("validate", DAY, RUN)
    with pytest.raises(ValueError, match="ledger"):
        lake.replace("ledger", rows(), where={"partition": DAY}, fence=fence)


def test_a_commit_says_who_made_it(lake: Lake) -> None:
    publish(lake)
    commit = DeltaTable(lake.uri("mart")).history(1)[0]
    assert {name: commit[name] for name in ("run_id", "try_number", "stage", "partition")} == {
        "run_id": "run",
        "try_number": "1",
        "stage": "validate",
        "partition": DAY,
    }


def test_files_and_log_and_folders_are_synced_before_a_publish_returns(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[Path] = set()

    def note_file(path: Path) -> None:
        fsync_file(path)
        synced.add(path)

    def note_directory(path: Path) -> None:
        fsync_directory(path)
        synced.add(path)

    fence = lake.claim("validate", DAY, RUN)
    monkeypatch.setattr(delta_module, "fsync_file", note_file)
    monkeypatch.setattr(delta_module, "fsync_directory", note_directory)
    published = lake.replace("mart", rows(), where={"partition": DAY}, fence=fence)
    table = Path(published.uri)
    files = {table / file for file in lake.dataset("mart").files}
    log = table / "_delta_log"
    entry = log / f"{published.version:020d}.json"
    assert {*files, *(file.parent for file in files), entry, log, table} <= synced


def test_files_are_compressed_with_zstd(lake: Lake) -> None:
    publish(lake)

    metadata = pq.ParquetFile(Path(lake.uri("mart")) / lake.dataset("mart").files[0]).metadata
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_address_may_be_a_file_uri_and_hold_blanks(tmp_path: Path) -> None:
    root = tmp_path / "a lake"
    lake = Lake(f"file://{root}", "small")
    lake.bootstrap(small_loop())
    publish(lake)
    assert Lake(str(root), "small").read("mart").num_rows == 3


def prediction_rows(day: str = DAY, count: int = 2) -> pa.Table:
    columns = {"partition": day, "model_version": "v1", "text": "a text"}
    listed = [{**columns, "request_id": f"r{number}"} for number in range(count)]
    return pa.Table.from_pylist(listed, PREDICTIONS).drop_columns(["batch_id"])


def test_a_batch_that_is_sent_twice_is_there_once(lake: Lake) -> None:
    first = lake.append_once("predictions", prediction_rows(), batch_id="b1")
    again = lake.append_once("predictions", prediction_rows(), batch_id="b1")
    other = lake.append_once("predictions", prediction_rows(), batch_id="b2")
    assert (first.version, again.version, other.version) == (1, 1, 2)
    assert first.digest == again.digest
    assert sorted(lake.read("predictions")["batch_id"].to_pylist()) == ["b1", "b1", "b2", "b2"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x1c", "\x0b", "\r", "\n"])
def test_a_text_may_begin_with_any_separator_of_lines(lake: Lake, separator: str) -> None:
    """delta-rs writes the smallest and the largest text into its log, which is read line by line."""
    batch = prediction_rows()
    texts = pa.array([f"{separator}first", f"second{separator}"])
    batch = batch.set_column(batch.schema.get_field_index("text"), "text", texts)
    lake.append_once("predictions", batch, batch_id="b1")
    assert sorted(lake.read("predictions")["text"].to_pylist()) == sorted(texts.to_pylist())


def test_a_batch_of_two_days_is_there_once(lake: Lake) -> None:
    both = pa.concat_tables([prediction_rows(DAY), prediction_rows(OTHER_DAY)])
    for _ in range(2):
        lake.append_once("predictions", both, batch_id="b1")
    assert lake.read("predictions").num_rows == 4


def test_a_batch_that_two_send_at_once_is_there_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Lake._has_batch

    def look_then_be_overtaken(*args: Any) -> bool:
        found = look(*args)
        monkeypatch.setattr(Lake, "_has_batch", look)
        lake.append_once("predictions", prediction_rows(), batch_id="b1")
        return found

    monkeypatch.setattr(Lake, "_has_batch", look_then_be_overtaken)
    assert lake.append_once("predictions", prediction_rows(), batch_id="b1").version == 1
    assert lake.read("predictions").num_rows == 2


def test_a_batch_without_rows_writes_nothing(lake: Lake) -> None:
    assert lake.append_once("predictions", prediction_rows(count=0), batch_id="b1").version == 0
