"""The words that a base model is asked in: of a chat template, or of the loop file alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.errors import ConfigurationError
from lakeloop.spec.tasks import CausalLm
from lakeloop.spec.tasks.causal_lm import Example
from tests.support.tiny_writers import CHAT, TURNED, make_tokenizer, make_writer
from training.generation.prompts import writing_of

TOKENIZER = make_tokenizer("<s> $A")
END, EOS = 6, 2


def task(**keys: Any) -> CausalLm:
    return CausalLm(**{"kind": "causal_lm", "text": "text", "answer": "answer", **keys})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return find_base_model("models/plain", make_writer(tmp_path_factory.mktemp("plain"), "llama"))


@pytest.fixture
def chat(tmp_path: Path) -> BaseModel:
    return find_base_model("models/chat", make_writer(tmp_path, "llama", chat=True))


def test_without_a_template_the_answer_stands_in_a_line_of_its_own(plain: BaseModel) -> None:
    found = writing_of(plain, TOKENIZER, task(), ["red"])
    assert (found.prompt, found.lead, found.ends, found.start) == (("", "\n"), "", (EOS,), None)
    assert (found.max_new_tokens, found.pad, found.until) == (64, EOS, "")


def test_examples_stand_before_the_text_in_the_words_of_the_prompt(plain: BaseModel) -> None:
    section = task(
        prompt="Q: {text}\nA: ",
        system="Be brief.",
        examples=(Example(text="red", answer="der"), Example(text="blue", answer="eulb")),
    )
    found = writing_of(plain, TOKENIZER, section, ["one", "two\nlines"])
    assert found.prompt == ("Be brief.\n\nQ: red\nA: der\n\nQ: blue\nA: eulb\n\nQ: ", "\nA: ")
    assert (found.lead, found.until) == (" ", "\n\n")
    assert writing_of(plain, TOKENIZER, section, ["with\n\na gap"]).until == ""


def test_a_chat_template_writes_the_messages_and_says_what_ends_one(chat: BaseModel) -> None:
    section = task(prompt="turn: {text}", system="Be brief.", examples=(Example(text="a", answer="b"),))
    found = writing_of(chat, TOKENIZER, section, ["red"])
    assert found.prompt == (
        "<|system|> Be brief. <|end|> <|user|> turn: a <|end|> <|assistant|> b <|end|> <|user|> turn: ",
        " <|end|> <|assistant|> ",
    )
    assert (found.ends, found.lead) == ((END, EOS), "")


def test_a_template_in_a_file_of_its_own_and_its_tokens_are_read(plain: BaseModel, tmp_path: Path) -> None:
    base = find_base_model("models/own", make_writer(tmp_path, "llama"))
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }} " + CHAT)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": {"content": "<s>"}}))
    found = writing_of(base, TOKENIZER, task(), ["red"])
    assert found.prompt == ("<s> <|user|> ", " <|end|> <|assistant|> ")


def test_a_chat_is_refused_where_there_is_no_template_and_left_where_it_is_not_wanted(
    plain: BaseModel, chat: BaseModel
) -> None:
    with pytest.raises(ConfigurationError, match="has no chat template"):
        writing_of(plain, TOKENIZER, task(chat="on"), ["red"])
    assert writing_of(chat, TOKENIZER, task(chat="off"), ["red"]).prompt == ("", "\n")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "leaves out a message, or repeats it"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "does not take such messages"),
    ],
    ids=["refuses", "repeats", "runs code"],
)
def test_a_template_that_cannot_be_used_is_refused(tmp_path: Path, template: str, told: str) -> None:
    base = find_base_model("models/own", make_writer(tmp_path, "llama"))
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(ConfigurationError, match=told):
        writing_of(base, TOKENIZER, task(), ["red"])


def test_all_ends_that_are_published_end_an_answer(tmp_path: Path) -> None:
    base = find_base_model("models/own", make_writer(tmp_path, "llama"))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 6]}))
    assert writing_of(base, TOKENIZER, task(), ["red"]).ends == (2, 6)


def test_a_base_model_without_an_end_is_refused(tmp_path: Path) -> None:
    base = find_base_model("models/own", make_writer(tmp_path, "llama"))
    for name in ("config.json", "generation_config.json"):
        told = json.loads((tmp_path / name).read_text())
        (tmp_path / name).write_text(json.dumps({**told, "eos_token_id": None}))
    with pytest.raises(ConfigurationError, match="no token that ends a text"):
        writing_of(base, TOKENIZER, task(), ["red"])


def test_what_reads_apart_begins_behind_a_token_of_its_own(tmp_path: Path) -> None:
    base = find_base_model("models/t5", make_writer(tmp_path, "t5"))
    found = writing_of(base, make_tokenizer("$A </s>"), TURNED, ["red"])
    assert (found.prompt, found.start, found.pad) == (("turn: ", ""), 3, 3)
