"""A random BERT of some thousand weights and texts it can learn, for tests that train for real.

`make_base_model(folder)` writes what a base model's folder holds: config, safetensors, tokenizer.
`make_dataset(folder, ...)` writes what training sees of a data set. The texts are of 5 to 18 words; four
words in each say its label, or, in those of `make_numbers`, its number.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

LABELS = ("business", "sports", "tech")
_TELLING = {
    "business": ("business", "market", "shares"),
    "sports": ("sports", "goal", "team"),
    "tech": ("tech", "phone", "chip"),
}
_FILLING = ("the", "a", "of", "today", "new", "old", "said", "big", "small", "was", "story", "about")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
MAX_POSITIONS = 32
WORDS = (*_FILLING, *(word for words in _TELLING.values() for word in words))
"""All that the texts are made of."""


def make_base_model(folder: Path, *, layers: int = 2, seed: int = 3) -> Path:
    """Write a random BERT: hidden size 32, `layers` layers, at most `MAX_POSITIONS` tokens."""
    words = (*_SPECIAL, *WORDS)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=MAX_POSITIONS,
        initializer_range=0.2,  # so that a random network tells texts apart
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    # As published ones do: a fixed length, which training and serving must undo.
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def make_rows(count: int, *, seed: int, labels: Sequence[str] = LABELS) -> pa.Table:
    """`count` rows with the columns of a split; labels in turn."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        label = labels[number % len(labels)]
        words = [*draw.choices(_TELLING[label], k=4), *draw.choices(_FILLING, k=draw.randint(1, 14))]
        draw.shuffle(words)
        text = " ".join(words)
        rows.append(
            {"row_id": f"{seed}-{number}", "text": text, "label": label, "text_key": text, "partition": "day"}
        )
    return pa.Table.from_pylist(rows)


def make_numbers(count: int, *, seed: int) -> pa.Table:
    """`count` rows whose target is 50, and 10 more for each word of sports, 10 less for each of business."""
    draw = random.Random(seed)
    points = {
        word: 10 * sign for sign, label in ((1, "sports"), (-1, "business")) for word in _TELLING[label]
    }
    rows = []
    for number in range(count):
        words = [*draw.choices(sorted(points), k=4), *draw.choices(_FILLING, k=4)]
        draw.shuffle(words)
        value = 50.0 + sum(points.get(word, 0) for word in words)
        rows.append({"row_id": f"{seed}-{number}", "text": " ".join(words), "target": value})
    return pa.Table.from_pylist(rows)


def make_dataset(
    folder: Path,
    *,
    train: pa.Table | None = None,
    validation: pa.Table | None = None,
    labels: Sequence[str] = LABELS,
    rows: int = 96,
) -> Path:
    """Write `train.parquet`, `validation.parquet` and `dataset.json` into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        train if train is not None else make_rows(rows, seed=1, labels=labels), folder / "train.parquet"
    )
    if validation is None:
        validation = make_rows(max(len(labels), rows // 4), seed=2, labels=labels)
    pq.write_table(validation, folder / "validation.parquet")
    (folder / "dataset.json").write_text(json.dumps({"labels": list(labels), "digest": "d" * 64}))
    return folder
