"""Tiny language models with random weights, and rows that they can learn: a few words turned round."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
import transformers as hf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from lakeloop.spec.tasks import CausalLm, Seq2Seq
from tests.support.tiny_bert import make_dataset

WORDS = ("red", "green", "blue", "black", "white", "grey")
_ASKING = ("Q:", "A:", "turn:")
SPECIALS = ("<unk>", "<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)
ASKED = CausalLm(
    kind="causal_lm", text="text", answer="answer", prompt="Q: {text} A:", max_new_tokens=5, chat="off"
)
TURNED = Seq2Seq(kind="seq2seq", text="text", answer="answer", prompt="turn: {text}", max_new_tokens=5)

_SIZE = {"vocab_size": len(SPECIALS) + len(_ASKING) + len(WORDS), "bos_token_id": 1, "eos_token_id": 2}
_LLAMA: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 128, "max_position_embeddings": 48, "initializer_range": 0.1,
    "tie_word_embeddings": True, "pad_token_id": 2,
}  # fmt: skip
_GPT2: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 48, "initializer_range": 0.1}
_T5: dict[str, Any] = {
    "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 3,
    "pad_token_id": 3, "dropout_rate": 0.0, "tie_word_embeddings": False,
}  # fmt: skip
_BART: dict[str, Any] = {
    "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 48,
    "decoder_start_token_id": 2, "pad_token_id": 3, "init_std": 0.1, "dropout": 0.0,
}  # fmt: skip
KINDS = {
    "llama": (hf.LlamaConfig, hf.AutoModelForCausalLM, _LLAMA, "<s> $A"),
    "gpt2": (hf.GPT2Config, hf.AutoModelForCausalLM, _GPT2, "$A"),
    "t5": (hf.T5Config, hf.AutoModelForSeq2SeqLM, _T5, "$A </s>"),
    "bart": (hf.BartConfig, hf.AutoModelForSeq2SeqLM, _BART, "<s> $A </s>"),
}
"""Architecture -> its config, what makes it, its sizes, and what its tokenizer puts around a text."""


def make_writer(
    folder: Path,
    kind: str,
    *,
    chat: bool = False,
    seed: int = 7,
    words: Sequence[str] = WORDS,
    **more: Any,
) -> Path:
    """Write a random model of that architecture, as they are published; padding is no token of its own.

    It knows `words`; `more` are keys of its config.
    """
    config, auto, sizes, template = KINDS[kind]
    torch.manual_seed(seed)
    known = {**_SIZE, "vocab_size": len(SPECIALS) + len(_ASKING) + len(words), **sizes, **more}
    auto.from_config(config(**known)).save_pretrained(folder)
    make_tokenizer(template, words).save(str(folder / "tokenizer.json"))
    if chat:
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT}))
    return folder


def make_tokenizer(template: str, words: Sequence[str] = WORDS) -> Tokenizer:
    """Words by blanks; the special ones are found wherever they stand."""
    ids = {word: number for number, word in enumerate((*SPECIALS, *_ASKING, *words))}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIALS))
    used = [(name, ids[name]) for name in template.split() if name in ids]
    if used:
        tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=used)
    return tokenizer


def make_turned(count: int, *, seed: int) -> pa.Table:
    """Two or three words, and the right answer: the same from behind."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        words = draw.sample(WORDS, k=draw.randint(2, 3))
        rows.append(
            {
                "row_id": f"{seed}-{number}", "text": " ".join(words), "answer": " ".join(reversed(words)),
                "partition": "day",
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows)


def make_turned_dataset(folder: Path, *, train: int = 240, validation: int = 40) -> Path:
    return make_dataset(folder, train=make_turned(train, seed=1), validation=make_turned(validation, seed=2))
