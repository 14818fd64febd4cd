"""The data set stage on a real lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.datasets.freeze import read_card, read_split
from lakeloop.errors import DataError, FenceError
from lakeloop.lake.files import LakeFiles
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.plan import decide_training
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop
from tests.support.stored import stored_names


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    context = small_context(tmp_path)
    for day in DAYS:
        publish(context, day, mart_rows(day, 30))
    return context


def test_the_published_days_up_to_the_partition_are_frozen(context: StageContext, tmp_path: Path) -> None:
    record = dataset(context, DAYS[1])
    assert record.status == "done"
    assert record.outputs["partitions"] == "2026-11-16..2026-11-17"
    assert record.counts is not None
    assert (record.counts.read, record.counts.accepted) == (60, 60)
    folder = context.lake.files.fetch(record.outputs["dataset"], tmp_path / "fetched")
    card = read_card(folder)
    assert card.digest == record.outputs["digest"]
    assert sum(read_split(folder, name).num_rows for name in card.rows) == 60
    assert record.outputs["mart_version"] == str(context.lake.version("mart"))
    assert [path.name for path in context.work("dataset", DAYS[1]).iterdir() if path.is_dir()] == []


def test_rows_that_were_never_published_are_not_in_it(context: StageContext) -> None:
    day = "2026-11-19"
    fence = context.lake.claim("validate", day, context.attempt)
    rows = context.lake.read("mart", partition=DAYS[0]).drop_columns(["partition"])
    context.lake.replace("mart", rows, where={"partition": day}, fence=fence)
    assert dataset(context, day).outputs["partitions"] == "2026-11-16..2026-11-18"


def test_nothing_published_is_a_skip_that_says_so(tmp_path: Path) -> None:
    record = dataset(small_context(tmp_path), DAYS[0])
    assert (record.status, record.reason) == ("skipped", "no day of the mart up to 2026-11-16 is published")


def test_again_from_the_same_days_is_unchanged(context: StageContext, tmp_path: Path) -> None:
    first = dataset(context, DAYS[2])
    again = dataset(small_context(tmp_path, attempt=Attempt("another-run")), DAYS[2])
    assert again.status == "unchanged"
    assert again.outputs == first.outputs


def test_a_record_without_its_folder_does_not_count(context: StageContext) -> None:
    first = dataset(context, DAYS[2])
    uri = Path(context.lake.files.uri(first.outputs["dataset"]))
    uri.with_name(f"{uri.name}.manifest.json").unlink()
    again = dataset(context, DAYS[2])
    assert again.status == "done"
    assert again.outputs == first.outputs
    assert context.lake.files.exists(first.outputs["dataset"])


def test_overlapping_attempts_store_one_whole_data_set(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second runs from end to end while the first is about to store, and the mart moves on between."""
    put, late = LakeFiles.put, []

    def put_after_another_attempt(files: LakeFiles, folder: Path, name: str) -> str:
        if not late:
            late.append("now the second")
            publish(context, "2026-11-19", mart_rows("2026-11-19", 30))
            second = small_context(tmp_path, attempt=Attempt("test-run", 2))
            assert dataset(second, DAYS[2]).status == "done"
        return put(files, folder, name)

    monkeypatch.setattr(LakeFiles, "put", put_after_another_attempt)
    record = dataset(context, DAYS[2])
    assert record.status == "done"
    folder = context.lake.files.fetch(record.outputs["dataset"], tmp_path / "fetched")
    assert read_card(folder).digest == record.outputs["digest"]


def test_an_equal_data_set_of_other_days_that_was_stored_meanwhile_stays(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = dataset(context, DAYS[2])
    repeated = [{**row, "partition": "2026-11-19"} for row in mart_rows(DAYS[0], 30)]
    publish(context, "2026-11-19", repeated)
    exists, asked = LakeFiles.exists, []

    def not_at_first(files: LakeFiles, name: str) -> bool:
        asked.append(name)
        return len(asked) > 1 and exists(files, name)

    monkeypatch.setattr(LakeFiles, "exists", not_at_first)
    record = dataset(context, "2026-11-19")
    assert record.outputs["dataset"] == first.outputs["dataset"]
    assert read_card(context.lake.files.fetch(first.outputs["dataset"], tmp_path / "fetched")).duplicates == 0


def test_a_label_that_was_taken_out_of_the_task_is_named_with_what_to_do(
    context: StageContext, tmp_path: Path
) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 30, labels=("business", "sports")))
    task = {"text": "text", "label": "label", "labels": ("business", "sports")}
    changed = small_context(tmp_path, small_loop(task=task))
    with pytest.raises(DataError) as raised:
        dataset(changed, DAYS[2])
    assert raised.value.found == "tech in 20 rows"
    assert f"2 day(s), {DAYS[1]}..{DAYS[2]}" in raised.value.where
    assert f"lakeloop validate small --partition {DAYS[1]}" in raised.value.remedy
    assert stored_names(changed.lake.files, "datasets") == []
    assert dataset(changed, DAYS[0]).status == "done"


def test_a_mart_that_is_not_the_published_one_is_refused(context: StageContext) -> None:
    fence = context.lake.claim("validate", DAYS[1], context.attempt)
    rows = context.lake.read("mart", partition=DAYS[1]).slice(1)
    context.lake.replace("mart", rows, where={"partition": DAYS[1]}, fence=fence)
    with pytest.raises(FenceError, match="other rows of 2026-11-17 than the ledger says"):
        dataset(context, DAYS[2])


def test_a_day_published_again_with_the_same_rows_changes_nothing(context: StageContext) -> None:
    first = dataset(context, DAYS[2])
    publish(context, DAYS[1], list(reversed(mart_rows(DAYS[1], 30))))
    assert dataset(context, DAYS[2]).outputs == first.outputs


def test_training_waits_for_enough_rows(tmp_path: Path) -> None:
    context = small_context(tmp_path, small_loop(train={"min_rows": 50, "min_new_rows": 20}))
    publish(context, DAYS[0], mart_rows(DAYS[0], 30))
    assert not decide_training(context).train
    publish(context, DAYS[1], mart_rows(DAYS[1], 30))
    decision = decide_training(context)
    assert (decision.train, decision.partition) == (True, DAYS[1])
    assert decision.reason.startswith("first training: 60 rows published in 2 partition(s)")


def test_days_that_come_after_a_newer_one_are_trained_on_with_it(tmp_path: Path) -> None:
    context = small_context(tmp_path, small_loop(train={"min_rows": 50, "min_new_rows": 20}))
    publish(context, DAYS[1], mart_rows(DAYS[1], 30))
    assert not decide_training(context).train
    publish(context, DAYS[0], mart_rows(DAYS[0], 30))
    decision = decide_training(context)
    assert (decision.train, decision.partition) == (True, DAYS[1])
    assert dataset(context, decision.partition).outputs["partitions"] == f"{DAYS[0]}..{DAYS[1]}"
