"""An artifact that is not the one that was sealed is refused wherever it is taken up, and read no more than
needed on its way."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop import artifact as artifacts
from lakeloop.durable import sha256_file
from lakeloop.errors import ArtifactError, LakeloopError
from lakeloop.inference.predictor import Predictor
from lakeloop.lake import folders as lake_folders
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS, small_context
from tests.unit.registry.test_registry import CARD

FOLDER = "candidates/one"


def _tamper(model: Path, _: Path) -> None:
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)


def _truncate(model: Path, _: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1])


def _swap(model: Path, other: Path) -> None:
    shutil.copyfile(other / model.name, model)


def _swap_all(model: Path, other: Path) -> None:
    shutil.rmtree(model.parent)
    shutil.copytree(other, model.parent)


def _lose(model: Path, _: Path) -> None:
    model.unlink()


DAMAGES = [_tamper, _truncate, _swap, _swap_all, _lose]
Damage = Callable[[Path, Path], None]


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return small_context(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_artifact(tmp_path / "other", LABELS, seed=2, confuse={"tech": "sports"})
    return make_artifact(tmp_path / "artifact", LABELS, seed=1).folder


def digest_at(folder: Path) -> str:
    return artifacts.open_artifact(folder).digest


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_candidate_in_the_lake_becomes_no_version(
    context: StageContext, folder: Path, damage: Damage
) -> None:
    files, digest = context.lake.files, digest_at(folder)
    files.put(folder, FOLDER)
    damage(Path(files.uri(FOLDER)) / "model.onnx", folder.parent / "other")
    with pytest.raises(ArtifactError, match=r"not the ones that were stored|is gone"):
        Registry(context.lake).register_stored(FOLDER, digest, CARD)
    assert Registry(context.lake).read().versions == {}
    assert not files.exists("models/v1")
    assert not list(Path(files.uri("models")).glob(".v1.*"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_in_the_lake_is_not_served(
    context: StageContext, folder: Path, tmp_path: Path, damage: Damage
) -> None:
    files = context.lake.files
    version = Registry(context.lake).register(folder, CARD)
    damage(Path(files.uri(version.folder_name)) / "model.onnx", folder.parent / "other")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        files.fetch(version.folder_name, tmp_path / "served")
    assert not (tmp_path / "served").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_of_a_server_is_not_loaded(folder: Path, damage: Damage) -> None:
    digest = digest_at(folder)
    damage(folder / "model.onnx", folder.parent / "other")
    with pytest.raises(ArtifactError):
        Predictor(folder, expect=digest)


def test_an_extra_file_is_refused_where_it_could_be_read_and_never_copied(
    context: StageContext, folder: Path, tmp_path: Path
) -> None:
    files = context.lake.files
    version = Registry(context.lake).register(folder, CARD)
    (Path(files.uri(version.folder_name)) / "extra.bin").write_bytes(b"?")
    fetched = files.fetch(version.folder_name, tmp_path / "fetched")
    assert not (fetched / "extra.bin").exists()
    (fetched / "extra.bin").write_bytes(b"?")
    with pytest.raises(ArtifactError, match="not in the manifest"):
        Predictor(fetched)
    files.put(fetched, FOLDER)
    with pytest.raises(ArtifactError, match=r"not the artifact that is meant[^$]*other files: extra\.bin"):
        Registry(context.lake).register_stored(FOLDER, version.digest, CARD)


def test_another_artifact_than_the_gate_accepted_becomes_no_version(
    context: StageContext, folder: Path
) -> None:
    context.lake.files.put(folder.parent / "other", FOLDER)
    with pytest.raises(ArtifactError, match="not the artifact that is meant"):
        Registry(context.lake).register_stored(FOLDER, digest_at(folder), CARD)
    with pytest.raises(LakeloopError, match="no such folder"):
        Registry(context.lake).register_stored("candidates/none", digest_at(folder), CARD)


def test_a_stored_artifact_is_the_same_version_as_its_folder(context: StageContext, folder: Path) -> None:
    registry = Registry(context.lake)
    context.lake.files.put(folder, FOLDER)
    first = registry.register_stored(FOLDER, digest_at(folder), CARD)
    assert registry.register(folder, CARD) == first
    assert first.digest == digest_at(context.lake.files.fetch(first.folder_name, folder.parent / "fetched"))


def test_weights_are_read_eight_times_from_their_sealing_to_the_server(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once to seal them; to verify and to copy them into the lake; to fetch and to open them for the judge;
    to copy them to the version; to fetch and to open them for the server."""
    read: Counter[str] = Counter()

    def counted(path: Path) -> str:
        read[path.name] += 1
        return sha256_file(path)

    monkeypatch.setattr(artifacts, "sha256_file", counted)
    monkeypatch.setattr(lake_folders, "sha256_file", counted)
    files, card = context.lake.files, ModelCard.model_validate(CARD.model_dump())
    sealed = make_artifact(tmp_path / "made", LABELS, seed=3)
    opened = artifacts.open_artifact(sealed.folder, expect=sealed.digest)
    files.put(sealed.folder, FOLDER, opened.files)
    Predictor(files.fetch(FOLDER, tmp_path / "judged"), expect=sealed.digest)
    version = Registry(context.lake).register_stored(FOLDER, sealed.digest, card)
    Predictor(files.fetch(version.folder_name, tmp_path / "served"), expect=version.digest)
    assert read["model.onnx"] == 8
