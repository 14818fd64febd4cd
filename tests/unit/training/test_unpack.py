"""What is unpacked of a GGUF file: weights, words, and the tokenizer that the model was taught with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Packing
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from lakeloop.base_model import find_base_model
from lakeloop.bases.quantised import RECEIPT
from tests.support.tiny_gguf import CHAT, make_gguf
from training.generation.prompts import template_of
from training.unpack import unpack


@pytest.mark.parametrize(
    ("packing", "most"), [(Packing.F32, 0.0), (Packing.Q8_0, 0.002), (Packing.Q4_1, 0.03)]
)
def test_weights_are_those_that_were_packed_as_closely_as_their_bits_tell(
    tmp_path: Path, packing: Packing, most: float
) -> None:
    packed = make_gguf(tmp_path / "tiny.gguf", packing=packing)
    unpack(tmp_path / "tiny.gguf", tmp_path / "model")
    found = dict(AutoModelForCausalLM.from_pretrained(tmp_path / "model").named_parameters())
    far = [float((found[name] - weight).detach().abs().max()) for name, weight in packed.named_parameters()]
    assert max(far) <= most
    assert (max(far) > 0) == (most > 0)


def test_the_folder_is_like_any_other_with_a_chat_template_and_says_nothing_of_bits(tmp_path: Path) -> None:
    make_gguf(tmp_path / "tiny.gguf", packing=Packing.Q8_0)
    unpack(tmp_path / "tiny.gguf", tmp_path / "model")
    base = find_base_model("models/tiny.gguf", tmp_path / "model")
    config = json.loads(base.config.read_text())
    assert "quantization_config" not in config
    assert (config["model_type"], config["eos_token_id"], config["max_position_embeddings"]) == (
        "llama",
        2,
        96,
    )
    assert template_of(base) == CHAT


@pytest.mark.parametrize("pre", ["smollm", "gpt-2"])
def test_numbers_are_parted_into_digits_where_the_model_was_taught_so(tmp_path: Path, pre: str) -> None:
    """Two spaces before a number are one token to SmolLM: its digits are parted before all else."""
    make_gguf(tmp_path / "tiny.gguf", pre=pre)
    unpack(tmp_path / "tiny.gguf", tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(tmp_path / "model" / "tokenizer.json"))
    found = tokenizer.encode("red  12\n\n3<|im_end|>").tokens
    spaces, lines = (["ĠĠ"], ["ĊĊ"]) if pre == "smollm" else (["Ġ", "Ġ"], ["Ċ", "Ċ"])
    assert found == ["red", *spaces, "1", "2", *lines, "3", "<|im_end|>"]
    assert tokenizer.decode(tokenizer.encode("red  12\n\n3").ids) == "red  12\n\n3"
    assert json.loads((tmp_path / "model" / RECEIPT).read_text())["notes"] == []


def test_a_way_of_parting_that_nobody_here_knows_is_noted(tmp_path: Path) -> None:
    make_gguf(tmp_path / "tiny.gguf", pre="new-way")
    unpack(tmp_path / "tiny.gguf", tmp_path / "model")
    (note,) = json.loads((tmp_path / "model" / RECEIPT).read_text())["notes"]
    assert "'new-way'" in note
