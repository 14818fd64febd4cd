"""Heads of GGUF files: read without torch, and what is none is refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Packing

from lakeloop.bases.gguf_file import read_head
from lakeloop.errors import ConfigurationError
from tests.support.tiny_gguf import make_gguf


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    make_gguf(file, packing=Packing.Q4_1)
    return file.read_bytes()


def test_a_head_says_how_many_numbers_there_are_and_how_texts_are_parted(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    model = make_gguf(file, packing=Packing.Q8_0)
    head = read_head(file)
    assert head.numbers == sum(weight.numel() for weight in model.parameters())
    assert head.values["general.architecture"] == "llama"
    assert head.values["tokenizer.ggml.tokens"] > 256, "of a list its length"
    assert head.pre == "smollm"


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.0005, 0.05, 0.5, 0.99])
def test_a_part_of_a_file_is_refused(whole: bytes, tmp_path: Path, share: float) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ConfigurationError, match="a part of") as refused:
        read_head(file)
    assert refused.value.remedy.startswith("fetch it again")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"PK\3\4" + bytes(1000))
    with pytest.raises(ConfigurationError, match="is no GGUF file"):
        read_head(file)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    with pytest.raises(ConfigurationError, match="git-lfs pointer"):
        read_head(file)


@pytest.mark.parametrize(("at", "value"), [(4, 1), (4, 255), (8, 255), (16, 255)])
def test_another_version_and_counts_beyond_the_file_are_refused(
    whole: bytes, tmp_path: Path, at: int, value: int
) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(whole[:at] + bytes([value] * (4 if value == 255 else 1)) + whole[at + 4 :])
    with pytest.raises(ConfigurationError, match="is no GGUF file"):
        read_head(file)


def test_one_of_several_files_says_how_to_join_them(tmp_path: Path) -> None:
    file = tmp_path / "tiny-00001-of-00002.gguf"
    make_gguf(file, split_count=2)
    with pytest.raises(ConfigurationError, match="one of several files") as refused:
        read_head(file)
    assert "--merge" in refused.value.remedy
