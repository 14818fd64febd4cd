"""Evidence in the lake: found again by its digest, believed when it is whole; and that of old records."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from lakeloop.errors import ArtifactError
from lakeloop.evaluation.stored import evidence_of, folder_of, read, store
from lakeloop.evidence import EVIDENCE
from lakeloop.gate.decide import decide
from lakeloop.lake.files import LakeFiles
from lakeloop.records import StageRecord
from lakeloop.tasks.base import Grid
from tests.support.evidence import evidence, model
from tests.support.small_loop import small_loop
from tests.support.yesterday import ARCHIVE


@pytest.fixture
def files(tmp_path: Path) -> LakeFiles:
    return LakeFiles(str(tmp_path / "files"))


def whole() -> Any:
    grid = Grid(title="Labels", columns=("label", "rows"), rows=(("<a>", 3), ("ü", None)))
    return evidence(
        model("baseline", {"macro_f1": 0.1 + 0.2}, tables=(grid,)),
        champion=model("champion", {"macro_f1": 1 / 3}, version="v3"),
        note="3 rows were left out",
    )


def test_what_is_stored_is_found_again_by_its_digest(files: LakeFiles, tmp_path: Path) -> None:
    digest = store(files, whole(), tmp_path / "scratch")
    assert read(files, digest) == whole()
    assert files.exists(folder_of(digest))
    assert store(files, whole(), tmp_path / "again") == digest


def test_evidence_from_before_there_were_intervals_is_read_as_having_none(
    files: LakeFiles, tmp_path: Path
) -> None:
    told = json.loads(whole().model_dump_json())
    for of_model in (*told["candidates"], told["champion"]):
        del of_model["intervals"], of_model["left_out"]
    (tmp_path / "old").mkdir()
    content = json.dumps(told)
    (tmp_path / "old" / EVIDENCE).write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    files.put(tmp_path / "old", folder_of(digest))
    assert read(files, digest) == whole()
    assert read(files, digest).intervals_by("macro_f1") == {}


def test_changed_evidence_is_not_believed(files: LakeFiles, tmp_path: Path) -> None:
    digest = store(files, whole(), tmp_path / "scratch")
    with pytest.raises(ArtifactError, match="not the evidence that is meant"):
        read(files, digest[:16] + "0" * 48)
    stored = Path(files.uri(folder_of(digest))) / EVIDENCE
    stored.write_text(stored.read_text().replace("0.30", "0.99"))
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        read(files, digest)


def test_evidence_of_a_later_version_is_an_error_that_says_what_to_do(
    files: LakeFiles, tmp_path: Path
) -> None:
    digest = store(files, whole().model_copy(update={"format": 2}), tmp_path / "scratch")
    with pytest.raises(ArtifactError, match="written by a newer version") as raised:
        read(files, digest)
    assert raised.value.remedy.startswith("upgrade Lakeloop")


def test_evidence_that_cannot_be_read_is_an_error_that_says_what_to_do(
    files: LakeFiles, tmp_path: Path
) -> None:
    spoiled = whole().model_copy(update={"rows": "many"})
    with pytest.warns(UserWarning, match="serializer"):
        digest = store(files, spoiled, tmp_path / "scratch")
    with pytest.raises(ArtifactError, match="cannot be read") as raised:
        read(files, digest)
    assert raised.value.remedy == "evaluate again"


@pytest.fixture(scope="module")
def old_records(tmp_path_factory: pytest.TempPathFactory) -> list[StageRecord]:
    """The evaluations of a lake that is older than evidence: without a champion, then with one."""
    root = tmp_path_factory.mktemp("yesterday")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(root, filter="data")
    rows = DeltaTable(root / ".lakeloop/lake/news/ledger").to_pyarrow_table().to_pylist()
    found = [StageRecord.model_validate_json(r["record"]) for r in rows if r["stage"] == "evaluate"]
    return sorted(found, key=lambda record: record.provenance.finished_at)


def test_the_record_of_an_older_evaluation_stands_for_its_evidence(
    files: LakeFiles, old_records: list[StageRecord]
) -> None:
    first, second = (evidence_of(files, record) for record in old_records)
    assert first.champion is None
    assert [each.name for each in first.candidates] == ["baseline", "finetune"]
    assert [each.method for each in first.candidates] == ["head", "top_layers"]
    assert (first.leader, first.rows, first.task) == ("baseline", 15, "classification")
    assert set(first.model("baseline").scores) == {"accuracy", "macro_f1", "log_loss", "texts_per_second"}
    assert second.champion is not None
    assert (second.champion.title, second.champion.folder) == ("champion v1", "models/v1")
    assert second.champion.digest == second.model("baseline").digest
    assert json.loads(second.model_dump_json())["rows_digest"] == old_records[1].outputs["rows_digest"]


def test_the_gate_decides_on_older_evidence_as_it_did(
    files: LakeFiles, old_records: list[StageRecord]
) -> None:
    loop = small_loop(gate={"min_score": 0.5, "max_regression": 0.01})
    first, second = (decide(evidence_of(files, record), loop) for record in old_records)
    assert first.reason == (
        "baseline with macro F1 1.0000 (finetune 0.3478) passes: at least 0.5000 asked;"
        " no champion to compare with; 15 test rows"
    )
    assert second.reason == (
        "baseline with macro F1 1.0000 (finetune 0.3478) is refused: new model: artifact 01e6e8efd749 is"
        " already champion, expected another model than the champion"
    )
