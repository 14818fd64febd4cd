"""What training rows are augmented with, tiny: a WordNet, a masked language model, a translator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.support.tiny_bert import WORDS

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by\n"


def write_wordnet(folder: Path, meanings: Sequence[Sequence[str]]) -> Path:
    """Nouns in the files of WordNet: each meaning is its words; the first one of a word is the usual one."""
    folder.mkdir(parents=True)
    lines, senses = [], dict[str, list[str]]()
    for number, words in enumerate(meanings):
        offset = f"{number + 1:08d}"
        fields = " ".join(f"{word} 0" for word in words)
        lines.append(f"{offset} 06 n {len(words):02x} {fields} 001 @ 00000001 n 0000 | a gloss; of words\n")
        for word in words:
            senses.setdefault(word.lower(), []).append(offset)
    index = [
        f"{word} n {len(offsets)} 1 @ {len(offsets)} 0 {' '.join(offsets)}  \n"
        for word, offsets in sorted(senses.items())
    ]
    for part in ("noun", "verb", "adj", "adv"):
        (folder / f"data.{part}").write_text(_LICENCE + ("".join(lines) if part == "noun" else ""))
        (folder / f"index.{part}").write_text(_LICENCE + ("".join(index) if part == "noun" else ""))
    return folder


def _tokenizer() -> Tokenizer:
    words = {word: number for number, word in enumerate((*_SPECIAL, *WORDS))}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def write_masked(folder: Path) -> Path:
    """A random BERT that fills in words of the tiny texts."""
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(_SPECIAL) + len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=32,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder)
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def write_translator(folder: Path) -> Path:
    """A random T5, and its tokenizer."""
    torch.manual_seed(6)
    config = T5Config(
        vocab_size=len(_SPECIAL) + len(WORDS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=3, decoder_start_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(), pad_token="[PAD]", eos_token="[SEP]", unk_token="[UNK]"
    ).save_pretrained(folder)
    return folder
