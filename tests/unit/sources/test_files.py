"""Daily files: found by the day, confined to the allowed folders."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lakeloop import durable
from lakeloop.durable import FileState
from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.settings import Settings
from lakeloop.sources import delivery as delivery_module
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
    delivery = source(settings).find(DAY)
    assert delivery is not None
    assert (delivery.name, delivery.identity) == (f"drops/{DAY}.jsonl", f"sha256:{digest}")
    assert delivery.where == str(path)


def listed(path: str, settings: Settings) -> list[str]:
    source = small_loop().source.model_dump() | {"path": path}
    return FileDrops(small_loop(source=source), settings).partitions()


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_days_are_those_whose_file_is_there_oldest_first(settings: Settings) -> None:
    put(settings.root, "drops/2026-11-17.jsonl", "drops/2026-11-16.jsonl", "drops/notes.jsonl")
    put(settings.root, "drops/2026-11-18.jsonl.part", "drops/2026-02-30.jsonl", "drops/12026-11-19.jsonl")
    (settings.root / "drops/2026-11-20.jsonl").mkdir()
    assert listed("drops/{partition}.jsonl", settings) == ["2026-11-16", "2026-11-17"]


def test_a_day_may_be_named_more_than_once_and_in_folders(settings: Settings) -> None:
    put(settings.root, "d/day=2026-11-16/2026-11-16.csv", "d/day=2026-11-17/2026-11-16.csv")
    put(settings.root, "d/2026-11-16_2026-11-16.csv", "d/2026-11-16_2026-11-17.csv")
    assert listed("d/day={partition}/{partition}.csv", settings) == ["2026-11-16"]
    assert listed("d/{partition}_{partition}.csv", settings) == ["2026-11-16"]


def test_a_place_that_is_not_there_has_no_days(settings: Settings) -> None:
    assert listed("nowhere/{partition}.jsonl", settings) == []
    assert listed("{partition}.jsonl", settings) == []


def test_a_link_that_leads_out_is_no_drop(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "2026-11-16.jsonl"
    outside.touch()
    (settings.root / "drops/2026-11-16.jsonl").symlink_to(outside)
    assert listed("drops/{partition}.jsonl", settings) == []


def test_a_delivery_yields_the_records_of_the_file_as_often_as_it_is_asked(settings: Settings) -> None:
    content = b'{"id": "a"}\nbroken\n{"id": "b"}\n'
    (settings.root / "drops" / f"{DAY}.jsonl").write_bytes(content)
    delivery = source(settings).find(DAY)
    assert delivery is not None
    for _ in range(2):
        (block,) = delivery.blocks()
        assert (block.rows["id"].to_pylist(), len(block.rejects), block.read) == (["a", "b"], 1, 3)
        delivery.require_unchanged()


@pytest.mark.parametrize("now", [b"", b'{"id": "a"}\n{"id": "b"}\n'], ids=["cut", "grown"])
def test_a_file_that_changed_since_it_was_found_is_not_the_delivery(settings: Settings, now: bytes) -> None:
    path = settings.root / "drops" / f"{DAY}.jsonl"
    path.write_bytes(b'{"id": "a"}\n')
    delivery = source(settings).find(DAY)
    assert delivery is not None
    path.write_bytes(now)
    list(delivery.blocks())
    with pytest.raises(TransientError, match="changed while it was read"):
        delivery.require_unchanged()


def test_a_file_that_stayed_as_it_was_found_is_not_digested_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings.root / "drops" / f"{DAY}.jsonl"
    path.write_bytes(b'{"id": "a"}\n')
    monkeypatch.setattr(durable, "_SETTLED_SECONDS", -1.0)
    delivery = source(settings).find(DAY)
    assert delivery is not None

    def refuse(*_: object) -> int:
        raise AssertionError("digested again")

    with monkeypatch.context() as patch:
        patch.setattr(delivery_module._HashedFile, "readinto", refuse)
        assert [block.read for block in delivery.blocks()] == [1]
        delivery.require_unchanged()
    path.write_bytes(b'{"id": "b"}\n')
    list(delivery.blocks())
    with pytest.raises(TransientError, match="changed while"):
        delivery.require_unchanged()


def test_a_file_that_changed_just_now_is_digested_again(settings: Settings) -> None:
    path = settings.root / "drops" / f"{DAY}.jsonl"
    path.write_bytes(b'{"id": "a"}\n')
    delivery = source(settings).find(DAY)
    assert delivery is not None
    assert not FileState.of(path).settled
    list(delivery.blocks())
    delivery.require_unchanged()


def test_a_day_without_a_file_says_where_it_looked(settings: Settings) -> None:
    assert source(settings).find(DAY) is None
    assert source(settings).absence(DAY).endswith(f"drops/{DAY}.jsonl")


def test_a_folder_is_no_drop(settings: Settings) -> None:
    (settings.root / "drops" / f"{DAY}.jsonl").mkdir()
    with pytest.raises(ConfigurationError, match="not a file"):
        source(settings).find(DAY)


def test_a_folder_that_is_a_file_holds_no_drop(settings: Settings) -> None:
    (settings.root / "drops" / DAY).write_text("")
    assert source(settings, "drops/{partition}/rows.jsonl").find(DAY) is None


def test_a_name_that_is_too_long_for_the_disk_is_a_clear_error(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot read it") as caught:
        source(settings, "drops/" + "x" * 250 + "{partition}").find(DAY)
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
        monkeypatch.setattr("lakeloop.sources.local_files.sha256_file", forbidden)
    else:
        monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(ConfigurationError, match="cannot read it") as caught:
        source(settings).find(DAY)
    assert (caught.value.where, caught.value.found) == (str(path), "Permission denied")


def test_a_link_out_of_the_project_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (settings.root / "drops" / f"{DAY}.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigurationError, match="leads out"):
        source(settings).find(DAY)


def test_a_data_root_may_be_elsewhere(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{DAY}.jsonl").write_text("")
    allowed = Settings(root=settings.root, data_roots=(tmp_path / "data",))
    assert source(allowed, str(tmp_path / "data" / "{partition}.jsonl")).find(DAY) is not None
    with pytest.raises(ConfigurationError, match="leads out"):
        source(settings, str(tmp_path / "data" / "{partition}.jsonl")).find(DAY)


def line(key: str) -> str:
    return f'{{"id": "{key}", "text": "words", "label": "tech"}}\n'


def test_many_files_of_a_day_are_one_delivery_and_each_row_knows_its_file(settings: Settings) -> None:
    folder = settings.root / "drops" / DAY
    folder.mkdir()
    (folder / "b.jsonl").write_text(line("b1") + "bad\n")
    (folder / "a.jsonl.gz").write_bytes(gzip.compress((line("a1") + line("a2")).encode()))
    (folder / "c.jsonl.part").write_text(line("c1"))
    (folder / "d.jsonl").mkdir()
    several = source(settings, "drops/{partition}/?.jsonl*").find(DAY)
    (folder / "c.jsonl.part").unlink()
    found = source(settings, "drops/{partition}/?.jsonl*").find(DAY)
    assert several is not None
    assert found is not None
    assert several.identity != found.identity
    blocks = list(found.blocks())
    assert [(block.file, block.read) for block in blocks] == [
        (f"drops/{DAY}/a.jsonl.gz", 2), (f"drops/{DAY}/b.jsonl", 2),
    ]  # fmt: skip
    found.require_unchanged()
    wanted = {f"drops/{DAY}/a.jsonl.gz": [2], f"drops/{DAY}/b.jsonl": [2, 3], "another": [1]}
    again = [(file, record.line, record.raw) for file, record in found.records_at(wanted)]
    assert again == [(f"drops/{DAY}/a.jsonl.gz", 2, line("a2")[:-1]), (f"drops/{DAY}/b.jsonl", 2, "bad")]
    assert (found.name, found.where) == (f"drops/{DAY}/?.jsonl*", str(folder))
    assert source(settings, "drops/{partition}/?.jsonl*").partitions() == [DAY]


def test_the_identity_of_many_files_is_their_names_and_what_they_hold(settings: Settings) -> None:
    folder = settings.root / "drops" / DAY

    def identity(**files: str) -> str:
        folder.mkdir()
        for name, text in files.items():
            (folder / f"{name}.jsonl").write_text(text)
        found = source(settings, "drops/{partition}/*.jsonl").find(DAY)
        assert found is not None
        shutil.rmtree(folder)
        return found.identity

    first = identity(a="1", b="2")
    others = [identity(a="2", b="1"), identity(a="1"), identity(a="1", c="2"), identity(a="1", b="2", c="")]
    assert first == identity(a="1", b="2")
    assert len({first, *others}) == 5


def test_a_file_of_many_that_changes_while_they_are_read_is_not_the_delivery(settings: Settings) -> None:
    for name in ("a", "b"):
        (settings.root / "drops" / f"{DAY}-{name}.jsonl").write_text(line(name))
    found = source(settings, "drops/{partition}-*.jsonl").find(DAY)
    assert found is not None
    (settings.root / "drops" / f"{DAY}-b.jsonl").write_text(line("c"))
    for read in (found.blocks(), found.records_at({})):
        list(read)
        with pytest.raises(TransientError, match="changed while it was read"):
            found.require_unchanged()


def test_a_pattern_that_finds_nothing_says_what_it_looked_for(settings: Settings) -> None:
    files = source(settings, "drops/{partition}/*.csv")
    assert files.find(DAY) is None
    assert files.absence(DAY) == (
        f"no file for {DAY}: looked for drops/{DAY}/*.csv in {settings.root}/drops/{DAY}, which is not there"
    )
    (settings.root / "drops" / DAY).mkdir()
    assert files.absence(DAY).endswith(f"/drops/{DAY}")


def test_of_many_files_one_that_leads_out_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    put(settings.root, f"drops/{DAY}-a.jsonl")
    (settings.root / "drops" / f"{DAY}-b.jsonl").symlink_to(tmp_path / "secret")
    files = source(settings, "drops/{partition}-*.jsonl")
    with pytest.raises(ConfigurationError, match="leads out"):
        files.find(DAY)
    assert files.partitions() == [DAY]


def test_of_many_files_one_that_is_not_there_any_more_is_no_silence(settings: Settings) -> None:
    put(settings.root, f"drops/{DAY}-a.jsonl")
    (settings.root / "drops" / f"{DAY}-b.jsonl").symlink_to("gone")
    with pytest.raises(ConfigurationError, match="cannot read it"):
        source(settings, "drops/{partition}-*.jsonl").find(DAY)


def test_a_name_that_is_not_utf8_can_be_stored(settings: Settings) -> None:
    name = os.fsencode(settings.root / "drops" / f"{DAY}-") + b"\xff.jsonl"
    Path(os.fsdecode(name)).write_text(line("a"))
    found = source(settings, "drops/{partition}-*.jsonl").find(DAY)
    assert found is not None
    assert [block.file for block in found.blocks()] == [f"drops/{DAY}-\\xff.jsonl"]
