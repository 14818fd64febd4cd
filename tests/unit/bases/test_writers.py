"""Which architectures write the answers of which kind of task, by their config.json alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.base_model import misfits_of
from lakeloop.bases.families import cannot_write
from lakeloop.spec.train import Train
from tests.support.tiny_writers import ASKED


@pytest.mark.parametrize(
    ("config", "kind", "why"),
    [
        ({"model_type": "llama"}, "causal_lm", ""),
        ({"model_type": "a new one"}, "causal_lm", ""),
        ({"model_type": "t5"}, "seq2seq", ""),
        ({"model_type": "a new one", "is_encoder_decoder": True}, "seq2seq", ""),
        ({"model_type": "bert"}, "causal_lm", "it reads texts and writes none"),
        ({"model_type": "xlm-roberta"}, "seq2seq", "it reads texts and writes none"),
        ({"model_type": "bart"}, "causal_lm", "as kind seq2seq wants it"),
        ({"model_type": "gpt2"}, "seq2seq", "as kind causal_lm wants it"),
    ],
)
def test_an_architecture_may_write_or_is_refused_with_the_reason(
    config: dict[str, Any], kind: str, why: str
) -> None:
    assert why in cannot_write(config, kind)
    assert bool(cannot_write(config, kind)) == bool(why)


def test_an_encoder_is_refused_for_its_key_and_another_is_asked_for(model: Path) -> None:
    train = Train.model_validate({"base_model": "models/tiny", "method": "lora"})
    ((key, error),) = misfits_of(train, model, train.all_candidates, ASKED)
    assert key == ("base_model",)
    assert "reads texts and writes none" in error.message
    assert "a decoder, such as Llama or GPT-2" in error.expected


def test_the_answer_takes_positions_beside_the_prompt(model: Path) -> None:
    config = model / "config.json"
    told = {**json.loads(config.read_text()), "model_type": "gpt2", "n_positions": 32}
    config.write_text(json.dumps(told))
    train = Train.model_validate({"base_model": "models/tiny", "method": "lora", "max_tokens": 30})
    ((key, error),) = misfits_of(train, model, [train.all_candidates[1]], ASKED)
    assert (key, error.expected) == (("max_tokens",), "at most 27")
    long = ASKED.model_copy(update={"max_new_tokens": 30})
    ((_, error),) = misfits_of(train, model, [train.all_candidates[1]], long)
    assert "task.max_new_tokens" in error.remedy
