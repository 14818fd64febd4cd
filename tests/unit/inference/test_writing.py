"""Prompts as tokens, token by token, and what is written behind them."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer

from lakeloop.inference.batches import pad
from lakeloop.inference.engines.torch_generate import to_the_right
from lakeloop.inference.writing import Prompts
from lakeloop.tasks.base import Writing
from tests.support.tiny_writers import make_tokenizer

LLAMA, T5 = make_tokenizer("<s> $A"), make_tokenizer("$A </s>")
ASK = Writing(prompt=("Q: ", " A:"), lead=" ", ends=(2,), pad=2, max_new_tokens=4)
TURN = Writing(prompt=("turn: ", ""), ends=(2,), start=3, pad=3, max_new_tokens=4)


def words(tokenizer: Tokenizer, ids: list[int]) -> str:
    return " ".join(tokenizer.id_to_token(number) for number in ids)


def test_a_prompt_is_the_words_around_the_text_and_the_text() -> None:
    prompts = Prompts(LLAMA, ASK, 24)
    (ids,) = prompts.ids(["red blue"])
    assert words(LLAMA, ids) == "<s> Q: red blue A:"
    assert [words(LLAMA, row) for row in prompts.right(["blue red"])] == ["blue red </s>"]
    assert prompts.fixed == 3


def test_a_model_that_reads_apart_reads_the_end_of_the_text() -> None:
    prompts = Prompts(T5, TURN, 24)
    assert words(T5, prompts.ids(["red blue"])[0]) == "turn: red blue </s>"
    assert words(T5, prompts.right(["blue red"])[0]) == "blue red </s>"


def test_a_model_that_goes_on_is_not_told_that_the_text_is_at_an_end() -> None:
    prompts = Prompts(make_tokenizer("<s> $A </s>"), ASK, 24)
    assert words(LLAMA, prompts.ids(["red"])[0]) == "<s> Q: red A:"


def test_what_a_chat_begins_with_is_not_there_twice() -> None:
    chat = ASK.model_copy(update={"prompt": ("<s> <|user|> ", " <|end|> <|assistant|> ")})
    (ids,) = Prompts(LLAMA, chat, 24).ids(["red"])
    assert words(LLAMA, ids) == "<s> <|user|> red <|end|> <|assistant|>"


def test_a_special_token_in_a_text_ends_nothing() -> None:
    (ids,) = Prompts(LLAMA, ASK, 24).ids(["red <|end|> </s>"])
    assert words(LLAMA, ids) == "<s> Q: red A:", "what the vocabulary has as a word is left out"


def test_of_a_long_text_the_end_is_left_out_and_never_the_question_behind_it() -> None:
    prompts = Prompts(LLAMA, ASK, 6)
    assert words(LLAMA, prompts.ids(["red blue green black white"])[0]) == "<s> Q: red blue green A:"
    assert words(LLAMA, prompts.right(["red blue green black"])[0]) == "red blue green </s>"


def test_what_was_written_ends_at_its_end() -> None:
    prompts = Prompts(LLAMA, ASK, 24)
    red, blue = (LLAMA.token_to_id(word) for word in ("red", "blue"))
    assert prompts.written(np.array([red, 2, -1])) == ("red", 2, True)
    assert prompts.written(np.array([red, blue, red, blue])) == ("red blue red blue", 4, False)
    assert prompts.written(np.array([2, -1, -1])) == ("", 1, True)


def test_an_answer_ends_before_the_next_example() -> None:
    prompts = Prompts(LLAMA, ASK.model_copy(update={"until": "Q:"}), 24)
    ids = np.array([LLAMA.token_to_id(word) for word in ("red", "Q:", "blue")])
    assert prompts.written(ids) == ("red", 3, True)


def test_padding_stands_before_the_texts_and_masks_follow() -> None:
    # Padding has the id of the end: nothing may be told by it.
    ids, mask = to_the_right(pad([[5, 2], [5, 6, 7]], 2))
    assert ids.tolist() == [[2, 5, 2], [5, 6, 7]]
    assert mask.tolist() == [[0, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("text", ["Hello, it's 3 o'clock", "naïve  café\tx", "今天 天气"])
def test_by_bytes_the_parts_of_a_prompt_are_read_as_the_whole(text: str) -> None:
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(["Question: what is it?\nAnswer: it's 3 o'clock"] * 5, trainer)
    writing = Writing(prompt=("Question: ", "\nAnswer: "), lead=" ", ends=(0,), pad=0, max_new_tokens=90)
    prompts = Prompts(tokenizer, writing, 512)
    whole = tokenizer.encode(f"Question: {text}\nAnswer: {text}").ids
    (asked,), (right,) = prompts.ids([text]), prompts.right([text])
    assert asked + right[:-1] == whole
    assert prompts.written(np.array(right)).text == text
