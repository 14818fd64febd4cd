"""Base models of the hub: taken from its cache, or fetched into it, or told how to have them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from lakeloop.base_model import find_base_model, folder_of
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.train import Train
from tests.support.tiny_bert import make_base_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TRAIN = Train(base_model=f"hub:somebody/tiny@{COMMIT}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache of the hub would have the model."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / f"cache/models--somebody--tiny/snapshots/{COMMIT}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def test_a_model_in_the_cache_is_found(whole: Path, cached: Path, settings: Settings) -> None:
    shutil.copytree(whole, cached)
    folder = folder_of(TRAIN, settings)
    assert folder == cached
    found = find_base_model(TRAIN.base_model, folder)
    assert (found.name, found.digest) == (TRAIN.base_model, find_base_model("models/tiny", whole).digest)


@pytest.mark.parametrize("part", ["", "tokenizer.json", "model.safetensors"])
def test_what_is_missing_offline_is_said_with_the_command_that_fetches_it(
    whole: Path, cached: Path, settings: Settings, part: str
) -> None:
    if part:
        shutil.copytree(whole, cached)
        (cached / part).unlink()
    with pytest.raises(ConfigurationError, match="the base model is not here") as raised:
        folder_of(TRAIN, settings, fetch=True)
    command = f"hf download somebody/tiny --revision {COMMIT} --local-dir models/tiny"
    assert command in raised.value.remedy
    assert raised.value.remedy.endswith("say base_model: models/tiny")
    assert ("HF_HUB_OFFLINE is set" if not part else str(cached)) in raised.value.found


def test_it_is_fetched_once_and_only_what_is_needed(
    whole: Path, cached: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked: list[dict[str, Any]] = []
    local = huggingface_hub.snapshot_download

    def download(name: str, **options: Any) -> str:
        if options["local_files_only"]:
            return local(name, **options)
        asked.append(options)
        return str(shutil.copytree(whole, cached))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ConfigurationError, match="the base model is not here") as raised:
        folder_of(TRAIN, settings)
    assert "not fetched yet" in raised.value.found
    for _ in range(2):
        assert folder_of(TRAIN, settings, fetch=True) == cached
    (options,) = asked
    assert (options["revision"], options["allow_patterns"]) == (
        COMMIT,
        ["*.json", "*.jinja", "*.safetensors"],
    )


@pytest.mark.parametrize("name", ["hub:somebody/tiny", "hub:", "hub:a/b/c@main", "hub:a b@main"])
def test_what_is_no_repository_of_the_hub_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="hub:OWNER/NAME@REVISION"):
        Train(base_model=name)
