"""The rows of a dataset folder as token ids, and the order in which they are seen.

Reads `train.parquet`, `validation.parquet` and `dataset.json`; never a test split. What is done with the
batches is the business of the jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError
from tokenizers import Tokenizer

from lakeloop.errors import ConfigurationError, DataError

WINDOW = 50
"""Batches that are sorted by length together: 98 % of the tokens are text instead of padding."""


@dataclass(frozen=True)
class Rows:
    """One split: texts and, for each, the index of its label."""

    texts: tuple[str, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)


class _Description(BaseModel):
    """What training needs of dataset.json, which says more."""

    labels: tuple[str, ...] = Field(min_length=2)
    digest: str = Field(min_length=1)


@dataclass(frozen=True)
class Dataset:
    labels: tuple[str, ...]
    """In the order of the model's outputs."""
    digest: str
    train: Rows
    validation: Rows

    @property
    def train_label_shares(self) -> dict[str, float]:
        counts = np.bincount(self.train.labels, minlength=len(self.labels))
        return {name: float(count / len(self.train)) for name, count in zip(self.labels, counts, strict=True)}


@dataclass(frozen=True)
class Batch:
    """Row numbers and their tokens, padded to the longest: int64 [rows, tokens], mask 1 for text."""

    rows: NDArray[np.int64]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor


@dataclass(frozen=True)
class Tokens:
    """Token ids of each text, cut but not padded."""

    ids: tuple[NDArray[np.int32], ...]
    pad_id: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        width = max(len(self.ids[row]) for row in rows)
        input_ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for line, row in enumerate(rows):
            ids = self.ids[row]
            input_ids[line, : len(ids)] = ids
            mask[line, : len(ids)] = 1
        return Batch(rows, torch.from_numpy(input_ids), torch.from_numpy(mask))


def read_dataset(folder: Path) -> Dataset:
    """Read and check a dataset folder.

    Raises:
        DataError: a file is missing or broken, a label is unknown or has no row to learn from, or a split is
            empty.
    """
    description = _read_description(folder / "dataset.json")
    labels = description.labels
    dataset = Dataset(
        labels=labels,
        digest=description.digest,
        train=_read_rows(folder / "train.parquet", labels),
        validation=_read_rows(folder / "validation.parquet", labels),
    )
    present = set(dataset.train.labels.tolist())
    if missing := [name for index, name in enumerate(labels) if index not in present]:
        raise DataError(
            f"no training row for {', '.join(missing)}",
            where=str(folder / "train.parquet"),
            expected=f"at least one row of each of {len(labels)} labels",
            remedy="wait for more data, or take the label out of task.labels",
        )
    return dataset


def _read_description(path: Path) -> _Description:
    try:
        return _Description.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataError(
            "dataset description cannot be read",
            where=str(path),
            expected="JSON with labels and digest",
            found=str(error),
        ) from None


def _read_rows(path: Path, labels: Sequence[str]) -> Rows:
    try:
        table = pq.read_table(path, columns=["text", "label"])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            "split cannot be read",
            where=str(path),
            expected="Parquet with columns text and label",
            found=str(error).splitlines()[0],
            remedy="build the dataset again",
        ) from None
    if table.num_rows == 0:
        raise DataError(
            f"no {path.stem} rows",
            where=str(path),
            expected="at least one row",
            remedy=f"wait for more data, or raise split.{path.stem}",
        )
    names, texts = table.column("label").to_pylist(), table.column("text").to_pylist()
    index = {name: number for number, name in enumerate(labels)}
    if unknown := sorted({repr(name) for name in names if name not in index}):
        raise DataError(
            "unknown label", where=str(path), expected=", ".join(labels), found=", ".join(unknown)
        )
    if (empty := texts.count(None)) > 0:
        raise DataError(f"{empty} row(s) without text", where=str(path), expected="a text in each row")
    return Rows(tuple(texts), np.array([index[name] for name in names], dtype=np.int64))


def load_tokenizer(path: Path, max_tokens: int) -> Tokenizer:
    """The tokenizer of a base model, cutting at `max_tokens` (special tokens included), without padding.

    Raises:
        ConfigurationError: the file is no tokenizer.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the Rust extension raises nothing narrower
        raise ConfigurationError(
            "tokenizer cannot be read", where=str(path), expected="a tokenizer.json", found=str(error)
        ) from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    encodings = tokenizer.encode_batch_fast(list(texts))
    pads = (tokenizer.token_to_id(name) for name in ("[PAD]", "<pad>"))
    return Tokens(
        ids=tuple(np.array(encoding.ids, dtype=np.int32) for encoding in encodings),
        pad_id=next((number for number in pads if number is not None), 0),
    )


def bucketed_batches(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Row numbers of each batch of one epoch: every row once, rows of a batch of similar length.

    Shuffled, sorted by length within windows of `WINDOW` batches, batches shuffled. The order depends on
    the seed and the epoch only, so an epoch can be repeated without the ones before it.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), WINDOW * batch_size):
        window = order[start : start + WINDOW * batch_size]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[first : first + batch_size] for first in range(0, len(window), batch_size)]
    return [batches[number] for number in random.permutation(len(batches))]


def sorted_batches(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers by length, longest first, so that memory runs out at once or never. For inference."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
