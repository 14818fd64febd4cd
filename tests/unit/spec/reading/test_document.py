"""YAML that is refused before anybody asks what it means."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.reading.document import MAX_BYTES, parse, read_text
from lakeloop.spec.reading.load import load_loop
from tests.support.loops import LOOP, Change, Refuse


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(
            ("train:", "train: &shared"),
            "  loops/news/loop.yaml:36: train: YAML anchors are not used here\n"
            "    expected: the value written out each time\n"
            "    found: &shared",
            id="anchor",
        ),
        pytest.param(
            ("min_rows: 1500", "min_rows: *shared"),
            "  loops/news/loop.yaml:39: train.min_rows: YAML aliases are not used here\n"
            "    expected: the value itself\n"
            "    found: *shared",
            id="alias",
        ),
        pytest.param(
            ("  min_rows: 1500", "  <<: {min_rows: 1500}"),
            "  loops/news/loop.yaml:39: train.<<: YAML merge keys are not used here\n"
            "    expected: the keys themselves\n"
            "    found: <<",
            id="merge key",
        ),
        pytest.param(
            ("min_rows: 1500", "min_rows: !!python/object/apply:os.system [ls]"),
            "  loops/news/loop.yaml:39: train.min_rows: YAML tags are not used here\n"
            "    expected: plain data\n"
            "    found: !!python/object/apply:os.system",
            id="Python tag",
        ),
        pytest.param(
            ("min_rows: 1500", "min_rows: !secret token"),
            "YAML tags are not used here\n    expected: plain data\n    found: !secret",
            id="custom tag",
        ),
        pytest.param(
            ("min_rows: 1500", "min_rows: !!int '1500'"),
            "YAML tags are not used here\n    expected: plain data\n    found: !!int",
            id="standard tag",
        ),
        pytest.param(
            ("deploy:", "gate: {}\ndeploy:"),
            "  loops/news/loop.yaml:45: gate: the key is there twice\n"
            "    expected: one value\n"
            "    found: the first is on line 42",
            id="duplicate key",
        ),
        pytest.param(
            ("deploy:", "? [a, b]\n: 1\ndeploy:"),
            "  loops/news/loop.yaml:45: a key that is no name\n"
            "    expected: a name before the colon\n"
            "    found: a list",
            id="a list as key",
        ),
        pytest.param(
            ("deploy:", "---\ndeploy:"),
            "  loops/news/loop.yaml:45: a second document\n    expected: one document\n    found: ---",
            id="two documents",
        ),
        pytest.param(
            ("labels: [business,", "labels: [[business,"),
            "not YAML: did not find expected ',' or ']', while parsing a flow sequence\n",
            id="a bracket too many",
        ),
        pytest.param(
            ("  days: 5", "\tdays: 5"),
            "  loops/news/loop.yaml:12: not YAML: found a tab character that violates indentation, "
            'while scanning a plain scalar\n    found: "days: 5"',
            id="a tab for indentation",
        ),
        pytest.param(
            ("days: 5", "days: \x07"),
            "  loops/news/loop.yaml:12: not YAML\n    expected: no control characters\n",
            id="a control character",
        ),
        pytest.param(
            ("name: news", "name: " + "[" * 20 + "]" * 20),
            "name[0][0][0]: nested too deep\n    expected: at most 16 levels",
            id="deep nesting",
        ),
    ],
)
def test_what_yaml_offers_beyond_plain_data_is_refused_by_name(
    refuse: Refuse, change: Change, expected: str
) -> None:
    assert expected in refuse(change)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "nothing"),
        ("# only a comment\n", "nothing"),
        ("---\n", "nothing"),
        ("- news\n- other\n", "a list of 2"),
        ("API_KEY=s3cr3t\n", "a text"),
    ],
)
def test_a_file_that_is_no_mapping_is_no_loop(refuse: Refuse, text: str, found: str) -> None:
    assert refuse(text=text) == (
        "loops/news/loop.yaml: 1 problem\n"
        "  loops/news/loop.yaml:1: not a loop\n"
        "    expected: names with values, such as name: news\n"
        f"    found: {found}"
    )


def test_a_file_in_another_encoding_is_refused_with_its_line(refuse: Refuse) -> None:
    text = refuse(text=LOOP.replace("BBC News stories to", "Nachrichten für").encode("latin-1"))
    assert "  loops/news/loop.yaml:2: not UTF-8 text\n    expected: a file saved as UTF-8\n" in text
    assert "found: byte 0xfc at position" in text


def test_utf_16_is_refused(refuse: Refuse) -> None:
    assert "not UTF-8 text" in refuse(text=LOOP.encode("utf-16"))


def test_a_byte_order_mark_is_ignored(settings: Settings) -> None:
    path = settings.loop_file("news")
    path.parent.mkdir()
    path.write_bytes(b"\xef\xbb\xbf" + LOOP.encode())
    assert load_loop(path, settings).name == "news"


def test_a_file_too_large_is_refused_unread(refuse: Refuse) -> None:
    text = refuse(text="#" * (MAX_BYTES + 1))
    assert text == "loops/news/loop.yaml: too large for a loop file\n  expected: at most 256 KiB"


@pytest.mark.parametrize("kind", ["folder", "pipe", "circle"])
def test_only_regular_files_are_read(settings: Settings, kind: str) -> None:
    path = settings.loop_file("news")
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # opening it in the usual way would wait for a writer, for ever
    else:
        path.symlink_to(path)
    with pytest.raises(ConfigurationError, match="cannot read it"):
        load_loop(path, settings)


@pytest.mark.parametrize("target", ["../../.env", "/dev/zero", "../notes.txt", "../../other/loop.yaml"])
def test_a_link_to_what_is_no_loop_file_is_refused_and_nothing_of_it_is_shown(
    settings: Settings, target: str
) -> None:
    path = settings.loop_file("news")
    for file in (settings.root / ".env", settings.loops / "notes.txt", settings.root / "other/loop.yaml"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("WANDB_API_KEY=0123456789abcdef\n")
    path.parent.mkdir()
    path.symlink_to(target)
    with pytest.raises(ConfigurationError, match="a link to what is not a loop file") as refused:
        load_loop(path, settings)
    assert "0123456789" not in str(refused.value)


def test_a_folder_that_is_a_link_out_of_the_loops_is_refused(settings: Settings, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "loop.yaml").write_text(LOOP)
    (settings.loops / "news").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="a link to what is not a loop file"):
        load_loop(settings.loop_file("news"), settings)


def test_a_loop_file_may_be_a_link_within_its_folder_as_a_cluster_mounts_it(settings: Settings) -> None:
    path = settings.loop_file("news")
    version = path.parent / "..2026_11_16"
    version.mkdir(parents=True)
    (version / "loop.yaml").write_text(LOOP)
    (path.parent / "..data").symlink_to(version.name)
    path.symlink_to("..data/loop.yaml")
    assert load_loop(path, settings).name == "news"


def test_a_null_byte_in_the_path_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="embedded null"):
        read_text(tmp_path / "a\0b", "label")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("false", False),
        ("~", None),
        ("010", 10),
        ("0x1f", 31),
        ("0o17", 15),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-11-16", "2026-11-16"),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("'5'", "5"),
    ],
)
def test_scalars_are_read_as_editors_read_them(text: str, value: object) -> None:
    read = parse(f"a: {text}", "label").content["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 250_000,
        "{a: " * 60_000,
        "- " * 120_000,
        "? " * 120_000,
        "a:\n " * 50_000,
        "[" + "a," * 120_000,
        "{" + ",".join(f"k{n}: 1" for n in range(20_000)) + "}",
        "a: b\n" * 50_000,
        "---\n" * 60_000,
        "&a " * 80_000,
        "k" * 250_000 + ": 1",
        "name: " + "x" * 250_000,
    ],
    ids=lambda text: text[:8],
)
def test_hostile_files_are_refused_in_bounded_time(refuse: Refuse, text: str) -> None:
    started = time.process_time()
    error = refuse(text=text)
    assert time.process_time() - started < 5
    assert len(error) < 20_000
