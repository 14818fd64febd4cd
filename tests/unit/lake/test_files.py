"""Folders of the lake: they never change, and damage is found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

import lakeloop.lake.files
from lakeloop.errors import ArtifactError, ConfigurationError
from lakeloop.lake.files import LakeFiles
from tests.support.object_store import S3


@pytest.fixture(params=["disk", "object store"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> LakeFiles:
    if request.param == "disk":
        return LakeFiles(str(tmp_path / "files"))
    s3: S3 = request.getfixturevalue("s3")
    s3.bucket(bucket := f"files-{uuid.uuid4().hex[:12]}")
    return LakeFiles(f"s3://{bucket}/lake/files", s3.variables)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "deep" / "card.md").write_text("a card")
    return folder


def test_a_folder_comes_back_as_it_was(files: LakeFiles, folder: Path, tmp_path: Path) -> None:
    assert not files.exists("models/v1")
    assert files.put(folder, "models/v1") == files.uri("models/v1")
    assert files.exists("models/v1")
    fetched = files.fetch("models/v1", tmp_path / "fetched")
    assert {path.relative_to(fetched) for path in fetched.rglob("*")} == {
        path.relative_to(folder) for path in folder.rglob("*")
    }
    assert (fetched / "weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()
    assert files.fetch("models/v1", fetched) == fetched


def test_the_same_content_may_be_put_again_and_another_not(files: LakeFiles, folder: Path) -> None:
    files.put(folder, "models/v1")
    before = files.manifest("models/v1")
    files.put(folder, "models/v1")
    (folder / "deep" / "card.md").write_text("another card")
    with pytest.raises(ArtifactError, match="never change"):
        files.put(folder, "models/v1")
    assert files.manifest("models/v1") == before


@pytest.mark.parametrize("change", ["extra", "missing"])
def test_a_file_more_or_less_is_another_content(files: LakeFiles, folder: Path, change: str) -> None:
    files.put(folder, "models/v1")
    if change == "extra":
        (folder / "extra").touch()
    else:
        (folder / "weights.bin").unlink()
    with pytest.raises(ArtifactError):
        files.put(folder, "models/v1")


def test_a_folder_that_changes_while_it_is_copied_is_not_stored(
    files: LakeFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest_of = lakeloop.lake.files._manifest_of

    def changed_after_it_was_listed(listed: Path) -> dict[str, str]:
        manifest = manifest_of(listed)
        if listed == folder:
            (folder / "weights.bin").write_bytes(b"of another attempt")
        return manifest

    monkeypatch.setattr(lakeloop.lake.files, "_manifest_of", changed_after_it_was_listed)
    with pytest.raises(ArtifactError, match="changed while it was copied"):
        files.put(folder, "models/v1")
    assert not files.exists("models/v1")
    monkeypatch.undo()
    files.put(folder, "models/v1")
    assert files.read("models/v1", "weights.bin") == b"of another attempt"


def test_one_file_is_read_and_verified(files: LakeFiles, folder: Path) -> None:
    files.put(folder, "models/v1")
    assert files.read("models/v1", "deep/card.md") == b"a card"
    with pytest.raises(ArtifactError, match="no such file"):
        files.read("models/v1", "other")


def test_a_folder_that_is_not_there_is_a_clear_error(files: LakeFiles, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such folder"):
        files.fetch("models/v9", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_nothing_is_overwritten_by_a_fetch(files: LakeFiles, folder: Path, tmp_path: Path) -> None:
    files.put(folder, "models/v1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ArtifactError, match="something else"):
        files.fetch("models/v1", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_damage_in_the_lake_is_found_and_nothing_is_left(tmp_path: Path, folder: Path) -> None:
    files = LakeFiles(str(tmp_path / "files"))
    stored = Path(files.put(folder, "models/v1"))
    (stored / "weights.bin").write_bytes(b"flipped")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        files.fetch("models/v1", tmp_path / "fetched")
    with pytest.raises(ArtifactError):
        files.read("models/v1", "weights.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "model"]


def test_what_a_killed_writer_left_is_replaced(tmp_path: Path, folder: Path) -> None:
    files = LakeFiles(str(tmp_path / "files"))
    half = tmp_path / "files" / "models" / "v1"
    half.mkdir(parents=True)
    (half / "weights.bin").write_bytes(b"half")
    assert not files.exists("models/v1")
    files.put(folder, "models/v1")
    assert (half / "weights.bin").read_bytes() == (folder / "weights.bin").read_bytes()


@pytest.mark.parametrize("name", ["", "/etc", "../up", "a/../b", "a//b", ".hidden", "a b", "a/"])
def test_names_stay_inside_the_lake(files: LakeFiles, folder: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="not a name"):
        files.put(folder, name)


def test_an_empty_folder_is_refused(files: LakeFiles, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match="without files"):
        files.put(tmp_path / "empty", "models/v1")


def test_a_removed_folder_is_gone_with_its_bytes_and_its_name_is_free(
    files: LakeFiles, folder: Path, tmp_path: Path
) -> None:
    for name in ("models/v1", "models/v2"):
        files.put(folder, name)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert [stored.name for stored in files.stored("models")] == ["models/v1", "models/v2"]
    assert all(stored.bytes > size for stored in files.stored("models"))
    for _ in range(2):  # again is fine
        files.remove("models/v1")
    assert not files.exists("models/v1")
    assert [stored.name for stored in files.stored("models")] == ["models/v2"]
    (folder / "more").write_text("another content")
    files.put(folder, "models/v1")
    assert files.fetch("models/v1", tmp_path / "fetched")
    assert files.stored("candidates") == []


def test_a_removal_that_is_killed_leaves_no_folder_and_is_finished_by_the_next(
    tmp_path: Path, folder: Path, root: Path
) -> None:
    files = LakeFiles(str(tmp_path / "lake"))
    files.put(folder, "models/v1")
    program = (
        "import sys; from lakeloop.lake.files import LakeFiles; LakeFiles(sys.argv[1]).remove('models/v1')"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "lake")],
        env={**os.environ, "LAKELOOP_FAULT": "remove.after-manifest"},
        cwd=root,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not files.exists("models/v1")
    (left,) = files.stored("models")
    assert (left.name, left.bytes > 0, left.written_at) == ("models/v1", True, None)
    files.remove("models/v1")
    assert files.stored("models") == []
