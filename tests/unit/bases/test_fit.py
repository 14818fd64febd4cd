"""What does not fit a base model is found in its config and its tokenizer, by key of the loop file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.base_model import misfits_of, require_fit
from lakeloop.bases.families import depth_of, positions_of
from lakeloop.bases.vocabulary import read_vocabulary
from lakeloop.errors import ConfigurationError
from lakeloop.spec.train import FINETUNE, Train
from tests.support.tiny_bert import MAX_POSITIONS


def change(file: Path, **keys: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def section(**keys: Any) -> Train:
    return Train.model_validate({"base_model": "models/tiny", "max_tokens": 24, **keys})


def found(model: Path, **keys: Any) -> dict[str, ConfigurationError]:
    train = section(**keys)
    problems = misfits_of(train, model, train.all_candidates)
    return {".".join(map(str, key)): error for key, error in problems}


def test_what_fits_has_no_problem(model: Path) -> None:
    assert found(model) == {}
    require_fit(section(), model, section().candidate(FINETUNE))


def test_too_many_tokens_are_told_with_the_number_that_would_do(model: Path) -> None:
    (error,) = found(model, max_tokens=MAX_POSITIONS + 1).values()
    assert error.expected == f"at most {MAX_POSITIONS}"
    change(model / "config.json", model_type="roberta", pad_token_id=1)
    (error,) = found(model, max_tokens=MAX_POSITIONS).values()
    assert error.expected == f"at most {MAX_POSITIONS - 2}"


def test_ids_beyond_the_word_vectors_are_told_by_token(model: Path) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    highest = max(tokenizer["model"]["vocab"].values())
    tokenizer["model"]["vocab"]["goal"] = highest + 50
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    (error,) = found(model).values()
    assert error.message == "the tokenizer has 1 token(s) that the base model has no vectors for"
    assert error.expected.startswith(f"ids below {highest + 1}")
    assert "'goal'" in error.found


def test_an_architecture_that_reads_padding_is_no_base_model(model: Path) -> None:
    change(model / "config.json", model_type="fnet")
    (error,) = found(model, max_tokens=4096).values()
    assert "mixes padding into a text" in error.message


def test_a_method_that_does_not_fit_is_told_where_it_is_said(model: Path) -> None:
    change(model / "config.json", model_type="albert")
    problems = found(model, method="top_layers")
    assert list(problems) == ["method"]
    others = set(problems["method"].expected.split(", "))
    assert {"head", "lora", "prompt", "full"} <= others
    assert not others & {"top_layers", "frozen", "adapter", "prefix"}, "they need layers, too"
    candidates = [{"name": "cheap", "method": "head"}, {"name": "deep", "method": "top_layers"}]
    assert list(found(model, candidates=candidates)) == ["candidates.1.method"]
    with pytest.raises(ConfigurationError, match="method top_layers does not fit albert") as raised:
        require_fit(section(), model, section().candidate(FINETUNE))
    assert raised.value.where == "train.method"


@pytest.mark.parametrize(("kind", "key", "most"), [("top_layers", "layers", 2), ("frozen", "lowest", 1)])
def test_more_layers_than_there_are_are_refused(model: Path, kind: str, key: str, most: int) -> None:
    assert found(model, method={"kind": kind, key: most}) == {}
    (error,) = found(model, method={"kind": kind, key: most + 1}).values()
    assert (error.message, error.expected) == ("base model has fewer layers", f"at most {most}")


def test_an_architecture_without_biases_has_them_where_its_config_says_so(model: Path) -> None:
    change(model / "config.json", model_type="llama")
    (error,) = found(model, method="bitfit").values()
    assert error.message == "method bitfit does not fit llama: its layers have no biases"
    change(model / "config.json", attention_bias=True)
    assert found(model, method="bitfit") == {}


@pytest.mark.parametrize(
    ("config", "positions", "depth"),
    [
        ({"model_type": "roberta", "max_position_embeddings": 514, "num_hidden_layers": 12}, 512, 12),
        ({"model_type": "xlnet", "max_position_embeddings": -1, "n_layer": 6}, None, 6),
        ({"model_type": "gpt2", "n_positions": 1024, "n_layer": 12}, 1024, 12),
        ({"model_type": "t5", "num_layers": 6}, None, 6),
        ({}, None, None),
    ],
)
def test_what_a_config_says_of_size(config: dict[str, Any], positions: int | None, depth: int | None) -> None:
    assert (positions_of(config), depth_of(config)) == (positions, depth)


@pytest.mark.parametrize(
    ("content", "ids", "unknown"),
    [
        (
            {"model": {"unk_id": 1, "vocab": [["<pad>", 0.0], ["<unk>", 0.0], ["a", -1.0]]}},
            {"<pad>": 0, "<unk>": 1, "a": 2},
            1,
        ),
        (
            {
                "model": {"unk_token": None, "vocab": {"a": 0}},
                "added_tokens": [{"content": "<s>", "id": 7}],
            },
            {"a": 0, "<s>": 7},
            None,
        ),
        ({"model": {"unk_token": "[UNK]", "vocab": {"[UNK]": 1}}}, {"[UNK]": 1}, 1),
        ({"post_processor": {"special_tokens": {"[CLS]": {"ids": [9]}}}}, {"[CLS]": 9}, None),
        ({}, {}, None),
    ],
    ids=["unigram", "bpe", "wordpiece", "special tokens", "nothing"],
)
def test_the_ids_of_each_kind_of_tokenizer_are_known(
    tmp_path: Path, content: dict[str, Any], ids: dict[str, int], unknown: int | None
) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    vocabulary = read_vocabulary(tmp_path / "tokenizer.json")
    assert (vocabulary.ids, vocabulary.unknown) == (ids, unknown)
