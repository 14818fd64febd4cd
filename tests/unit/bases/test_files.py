"""Files of a base model that are not what they seem, found without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.base_model import find_base_model, misfits_of
from lakeloop.errors import ConfigurationError
from lakeloop.spec.train import Train

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 90868376\n"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_named_as_such(model: Path, name: str) -> None:
    (model / name).write_bytes(POINTER)
    with pytest.raises(ConfigurationError, match=f"{name} is a git-lfs pointer") as raised:
        find_base_model("models/tiny", model)
    assert "git lfs pull" in raised.value.remedy


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda whole: whole[:-100], "bytes, as its header says"),
        (lambda whole: whole + b"\0", "bytes, as its header says"),
        (lambda whole: whole[:50], "a safetensors file"),
        (lambda _: b"", "a safetensors file"),
        (lambda _: b"\xff" * 200, "a safetensors file"),
        (lambda whole: whole[:8] + b"[" + whole[9:], "a safetensors file"),
        (lambda _: b"\x02" + b"\0" * 7 + b"[]", "a safetensors file"),
    ],
    ids=["cut", "longer", "cut in the header", "empty", "no header", "torn header", "another header"],
)
def test_torn_weights_are_refused_before_they_are_loaded(
    model: Path, spoil: Callable[[bytes], bytes], found: str
) -> None:
    (model / WEIGHTS).write_bytes(spoil((model / WEIGHTS).read_bytes()))
    with pytest.raises(ConfigurationError, match="weights of the base model cannot be read") as raised:
        find_base_model("models/tiny", model)
    assert found in raised.value.expected


def test_a_part_of_the_weights_that_is_not_there_is_named(model: Path) -> None:
    places = {"a": WEIGHTS, "b": "model-00002-of-00002.safetensors"}
    (model / INDEX).write_text(json.dumps({"weight_map": places}))
    with pytest.raises(ConfigurationError, match="1 of 2 files with weights") as raised:
        find_base_model("models/tiny", model)
    assert raised.value.found.endswith("without model-00002-of-00002.safetensors")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_none_is_no_traceback(model: Path, content: bytes) -> None:
    (model / "tokenizer.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json of the base model cannot be read"):
        list(misfits_of(Train(base_model="models/tiny"), model, []))
