"""Which test rows are fair to a champion of another data set, and what is said of those left out."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.datasets.assemble import Assembled, assemble
from lakeloop.datasets.freeze import DatasetCard, describe, write_dataset
from lakeloop.errors import ArtifactError, DataError
from lakeloop.evaluation.fair import fair_rows
from lakeloop.gate.decide import Decision
from lakeloop.lake.digest import content_digest
from lakeloop.lake.files import LakeFiles
from lakeloop.registry.history import ModelCard, ModelVersion
from lakeloop.spec.split import Split
from lakeloop.tasks.registry import task_of
from tests.support.small_loop import MART, mart_rows, small_loop

DAY = "2026-11-16"
TASK = task_of(small_loop().task)


@pytest.fixture
def files(tmp_path: Path) -> LakeFiles:
    return LakeFiles(str(tmp_path / "files"))


def dealt(split: Split, count: int = 150) -> tuple[Assembled, DatasetCard]:
    section = small_loop().task
    assembled = assemble(pa.Table.from_pylist(mart_rows(DAY, count), MART), split, section.roles())
    return assembled, describe(assembled, section, {DAY: "a" * 64})


def store(files: LakeFiles, folder: Path, split: Split, count: int = 150) -> ModelVersion:
    """A data set of that split in the lake, and a champion of it."""
    assembled, card = dealt(split, count)
    write_dataset(assembled, card, folder)
    files.put(folder, card.folder_name)
    return champion_of(card.digest)


def champion_of(dataset_digest: str) -> ModelVersion:
    decision = Decision(accepted=None, reason="for the test", checks=())
    card = ModelCard(
        candidate="baseline", method="keywords", dataset_digest=dataset_digest, decision=decision
    )
    made_at = datetime(2026, 11, 22, tzinfo=UTC)
    return ModelVersion(name="v3", digest="e" * 64, card=card, created_at=made_at, run_id="run")


def test_rows_that_the_champion_was_trained_on_are_left_out_and_counted(
    files: LakeFiles, tmp_path: Path
) -> None:
    champion = store(files, tmp_path / "old", Split())
    old, (new, card) = dealt(Split())[0], dealt(Split(salt="another"))
    fair = fair_rows(files, new.tables["test"], card, champion, TASK)
    never_seen = set(old.tables["test"]["row_id"].to_pylist())
    expected = [row for row in new.tables["test"]["row_id"].to_pylist() if row in never_seen]
    assert fair.table["row_id"].to_pylist() == expected
    assert 0 < len(expected) < new.tables["test"].num_rows
    assert fair.digest == content_digest(fair.table) != content_digest(new.tables["test"])
    left_out = new.tables["test"].num_rows - len(expected)
    assert fair.note.startswith(
        f"{left_out} of {new.tables['test'].num_rows} test rows were left out for all"
    )
    assert "the champion v3 was trained on them" in fair.note


def test_more_days_of_the_same_split_leave_nothing_out(files: LakeFiles, tmp_path: Path) -> None:
    champion = store(files, tmp_path / "old", Split(), count=90)
    new, card = dealt(Split())
    fair = fair_rows(files, new.tables["test"], card, champion, TASK)
    assert (fair.table, fair.note) == (new.tables["test"], "")


def test_no_champion_or_one_of_this_data_set_leaves_nothing_out(files: LakeFiles) -> None:
    new, card = dealt(Split())
    for champion in (None, champion_of(card.digest)):
        fair = fair_rows(files, new.tables["test"], card, champion, TASK)
        assert (fair.table, fair.note) == (new.tables["test"], "")


@pytest.mark.parametrize("gone", ["folder", "manifest"])
def test_a_data_set_that_is_gone_is_said_to_be(files: LakeFiles, tmp_path: Path, gone: str) -> None:
    champion = store(files, tmp_path / "old", Split())
    stored = Path(files.uri(dealt(Split())[1].folder_name))
    if gone == "folder":
        shutil.rmtree(stored)
    else:
        stored.with_name(f"{stored.name}.manifest.json").unlink()
    new, card = dealt(Split(salt="another"))
    fair = fair_rows(files, new.tables["test"], card, champion, TASK)
    assert fair.table == new.tables["test"]
    assert "the champion v3 may have been trained on some of them" in fair.note


def test_a_damaged_data_set_is_not_believed(files: LakeFiles, tmp_path: Path) -> None:
    champion = store(files, tmp_path / "old", Split())
    (Path(files.uri(dealt(Split())[1].folder_name)) / "train.parquet").write_bytes(b"flipped")
    new, card = dealt(Split(salt="another"))
    with pytest.raises(ArtifactError):
        fair_rows(files, new.tables["test"], card, champion, TASK)


def test_a_class_without_a_row_that_is_left_is_an_error_that_says_what_to_do(
    files: LakeFiles, tmp_path: Path
) -> None:
    champion = store(files, tmp_path / "old", Split())
    _, card = dealt(Split(salt="another"))
    rows = dealt(Split())[0].tables["train"]
    with pytest.raises(DataError, match="too few are left") as raised:
        fair_rows(files, rows, card, champion, TASK)
    assert raised.value.found == f"0 of {rows.num_rows} rows left; missing: business, sports, tech"
    assert raised.value.remedy.startswith("put split in the loop file back")
