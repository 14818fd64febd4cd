"""Runs of characters are counted alike in fitting and in the network, in any language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lakeloop.artifact import open_artifact
from lakeloop.inference.predictor import Predictor
from tests.support.tiny_bert import make_dataset, make_rows
from training.characters import CharacterCounts, character_tokenizer, places, runs_of
from training.data import tokenise
from training.job import run
from training.job_config import JobConfig
from training.train import train
from training.words import count_words, weights_of

TEXTS = ["这部电影很好看", "太难看了", "Good film!", "a", "ＡＢ好", "好好好好"]
_CHINESE = {"business": "股市上涨 公司 盈利", "sports": "球队 进球 比赛", "tech": "手机 芯片 电脑"}


@given(texts=st.lists(st.text(max_size=20), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_the_network_counts_as_the_fit_does(texts: list[str]) -> None:
    tokenizer = character_tokenizer(TEXTS)
    characters = tokenizer.get_vocab_size()
    tokens = tokenise(tokenizer, TEXTS + texts)
    runs = runs_of(tokens, characters)
    column, rarity = count_words(runs, len(TEXTS), places(characters), 500)
    network = CharacterCounts(column, rarity, nn.Identity())
    batch = tokens.batch(np.arange(len(tokens.ids)))
    found = network.read(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(found.numpy(), weights_of(network, runs).toarray(), atol=1e-6, rtol=0)


def test_full_width_and_capital_letters_are_plain_ones() -> None:
    tokenizer = character_tokenizer(TEXTS)
    assert tokenizer.encode("ＡＢ好").ids == tokenizer.encode("ab好").ids
    assert tokenizer.encode("鑫").ids == [1], "one that no training row has"


@pytest.fixture
def chinese(tmp_path: Path) -> Path:
    """A data set in a language that the base model does not know."""

    def rows(count: int, seed: int) -> pa.Table:
        table = make_rows(count, seed=seed)
        draw = np.random.default_rng(seed)
        texts = [
            "".join(draw.choice(_CHINESE[label].split(), 3)) + "新闻" for label in table["label"].to_pylist()
        ]
        return table.set_column(1, "text", pa.array(texts))

    return make_dataset(tmp_path / "rows", train=rows(90, 1), validation=rows(30, 2))


@pytest.mark.parametrize(
    "method",
    [
        {"kind": "classical", "features": "characters"},
        {"kind": "classical", "features": "characters", "model": "forest", "trees": 20},
        {"kind": "zero_shot", "features": "characters", "descriptions": _CHINESE},
    ],
    ids=["linear", "forest", "zero_shot"],
)
def test_a_language_that_the_base_model_does_not_know_is_learnt_and_served(
    make_config: Callable[..., JobConfig], chinese: Path, tmp_path: Path, method: dict[str, Any]
) -> None:
    config = make_config(method, dataset=chinese)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    run(tmp_path / "config.json", train)
    predictor = Predictor(open_artifact(tmp_path / "artifact").folder)
    assert predictor.description.max_tokens == 4 * config.train.max_tokens
    answers = predictor.predict(["今天球队进球了", "新的手机芯片", "公司股市上涨"])
    assert [answer.label for answer in answers] == ["sports", "tech", "business"]  # type: ignore[attr-defined]
