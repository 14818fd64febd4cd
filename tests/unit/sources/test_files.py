"""Daily files: found by the day, confined to the allowed folders."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.base import Drop
from lakeloop.sources.files import FileDrops
from tests.support.small_loop import small_loop

DAY = "2026-11-16"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = tmp_path / "project"
    (project / "drops").mkdir(parents=True)
    return Settings(root=project)


def source(settings: Settings, path: str = "drops/{partition}.jsonl") -> FileDrops:
    loop = small_loop()
    fields: dict[str, Any] = {**loop.source.model_dump(), "path": path}
    return FileDrops(small_loop(source=fields), settings)


def test_the_file_of_the_day_is_found_with_its_digest(settings: Settings) -> None:
    path = settings.root / "drops" / f"{DAY}.jsonl"
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert source(settings).drop(DAY) == Drop(path, digest, f"drops/{DAY}.jsonl")


def test_a_day_without_a_file_says_where_it_looked(settings: Settings) -> None:
    assert source(settings).drop(DAY) is None
    assert source(settings).absence(DAY).endswith(f"drops/{DAY}.jsonl")


def test_a_folder_is_no_drop(settings: Settings) -> None:
    (settings.root / "drops" / f"{DAY}.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match="not a file"):
        source(settings).drop(DAY)


def test_a_folder_that_is_a_file_holds_no_drop(settings: Settings) -> None:
    (settings.root / "drops" / DAY).write_text("")
    assert source(settings, "drops/{partition}/rows.jsonl").drop(DAY) is None


def test_a_name_that_is_too_long_for_the_disk_is_a_clear_error(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot read it") as caught:
        source(settings, "drops/" + "x" * 250 + "{partition}").drop(DAY)
    assert caught.value.found == "File name too long"
    assert caught.value.where.endswith(f"xxx{DAY}")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_read_is_a_clear_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = settings.root / "drops" / f"{DAY}.jsonl"
    path.write_text("")

    def forbidden(*_: object, **__: object) -> None:  # as modes do; tests may run as root, who may read all
        raise PermissionError(errno.EACCES, "Permission denied")

    if what == "file":
        monkeypatch.setattr("lakeloop.sources.files.sha256_file", forbidden)
    else:
        monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(ConfigurationError, match="cannot read it") as caught:
        source(settings).drop(DAY)
    assert (caught.value.where, caught.value.found) == (str(path), "Permission denied")


def test_a_link_out_of_the_project_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (settings.root / "drops" / f"{DAY}.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigurationError, match="leads out"):
        source(settings).drop(DAY)


def test_a_data_root_may_be_elsewhere(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{DAY}.jsonl").write_text("")
    allowed = Settings(root=settings.root, data_roots=(tmp_path / "data",))
    assert source(allowed, str(tmp_path / "data" / "{partition}.jsonl")).drop(DAY) is not None
    with pytest.raises(ConfigurationError, match="leads out"):
        source(settings, str(tmp_path / "data" / "{partition}.jsonl")).drop(DAY)
