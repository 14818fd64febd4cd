"""A base model in GGUF learns to write like any other, in the words of its own dialogue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Packing

from lakeloop.artifact import open_artifact
from lakeloop.base_model import find_base_model
from lakeloop.durable import sha256_file
from lakeloop.spec.tasks import CausalLm
from tests.support.tiny_gguf import make_gguf
from training.job import run
from training.job_config import JobConfig
from training.train import train
from training.unpack import unpack

TASK = CausalLm(kind="causal_lm", text="text", answer="answer", system="turn", max_new_tokens=12)


@pytest.mark.slow
def test_what_was_packed_is_trained_and_sealed_with_the_digest_of_its_file(
    make_config: Callable[..., JobConfig], turned: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.gguf"
    make_gguf(file, packing=Packing.Q8_0)
    unpack(file, tmp_path / "model")
    base = find_base_model("models/tiny.gguf", tmp_path / "model")
    scores = {}
    for method in ("zero_shot", "lora"):
        config = make_config(
            method, task=TASK, dataset=turned, on=base, max_tokens=64, epochs=3, learning_rate=1e-2
        )
        workdir = tmp_path / method
        workdir.mkdir()
        (workdir / "config.json").write_text(config.model_dump_json(exclude_unset=True))
        run(workdir / "config.json", train)
        sealed = open_artifact(workdir / "artifact").description
        assert sealed.base_digest == sha256_file(file)
        assert sealed.contract.writing is not None
        assert sealed.contract.writing.prompt[0] == "<|im_start|>system\nturn<|im_end|>\n<|im_start|>user\n"
        scores[method] = sealed.validation_metrics
    assert scores["lora"]["perplexity"] < scores["zero_shot"]["perplexity"] / 2
