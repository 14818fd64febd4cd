"""The rows of a data set's folder as instances, targets and token ids, and the order in which they are seen.

Reads `train.parquet`, `validation.parquet` and `dataset.json`; never a test split. What a target means is
the task's; what is done with the batches, the method's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError
from tokenizers import Tokenizer

from lakeloop.cleaning.steps import steps_of
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.inference.batches import pad, pad_id_of
from lakeloop.inference.instances import clean_instances, encode, inputs_of, tokenised
from lakeloop.spec.tasks.base import TEXT
from lakeloop.tasks.base import OutputContract, Profile, Task, Tokenised
from lakeloop.tasks.reading import TEXT_ALONE, Instance, Reading, as_instances, fit_reading, instances_of
from lakeloop.tasks.taught import known_rows, taught
from training.job_config import JobConfig
from training.plan import ON_A_CPU, Plan
from training.tasks.registry import training_task

log = logging.getLogger(__name__)

NO_TARGET = -100
"""Of a token that is not judged; torch's losses leave it out."""
WINDOW = 50
"""Batches that are sorted by length together: 98 % of the tokens are text instead of padding."""


@dataclass(frozen=True)
class Rows:
    """One split."""

    instances: tuple[Instance, ...]
    """After the cleaning steps that inference runs."""
    values: tuple[Any, ...]
    """The right answers, as the mart has them."""
    targets: NDArray[Any]
    """The right answers as the loss of the task takes them, [rows]."""

    def __len__(self) -> int:
        return len(self.instances)

    @property
    def texts(self) -> tuple[str, ...]:
        """The first text of each row."""
        return tuple(row.text for row in self.instances)

    def and_again(self, rows: Sequence[int], texts: Sequence[str]) -> Rows:
        """These rows, and then some of them once more, each with another first text."""
        again = list(rows)
        others = (self.instances[row]._replace(text=text) for row, text in zip(again, texts, strict=True))
        return replace(
            self,
            instances=(*self.instances, *others),
            values=(*self.values, *(self.values[row] for row in again)),
            targets=np.concatenate([self.targets, self.targets[again]]) if again else self.targets,
        )


class _Description(BaseModel):
    """What training needs of dataset.json, which says more."""

    digest: str = Field(min_length=1)


@dataclass(frozen=True)
class Dataset:
    """The rows to train on and to validate with, and what the task makes of them."""

    digest: str
    train: Rows
    validation: Rows
    profile: Profile
    """How the target is spread over the training rows."""
    contract: OutputContract
    """What a network that learns from the training rows must give."""
    reads: Reading = TEXT_ALONE
    """What of a row the network is given."""

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Of the training rows, then of the validation rows."""
        return self.train.instances + self.validation.instances


@dataclass(frozen=True)
class Batch:
    """Row numbers and their tokens, padded to one width: int64 [rows, tokens], mask 1 for text."""

    rows: NDArray[np.int64]
    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    features: torch.Tensor | None = None
    """What is read beside the texts, float32 [rows, width]; None where nothing is."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What a network is given of the batch, in the order of its arguments."""
        read = (self.input_ids, self.attention_mask)
        return read if self.features is None else (*read, self.features)


@dataclass(frozen=True)
class Tokens:
    """Token ids of each text, cut but not padded."""

    ids: tuple[NDArray[np.int32], ...]
    pad_id: int
    plan: Plan = ON_A_CPU
    """How wide batches are."""
    limit: int = 1
    """Most tokens that a batch is widened to."""
    features: NDArray[np.float32] | None = None
    """What is read beside each text, [texts, width]; None where nothing is."""
    read: tuple[Tokenised, ...] = ()
    """Where tokens stand in each text; empty where answers are of whole rows."""
    targets: tuple[NDArray[np.int64], ...] = ()
    """The right answer of each token of each text, `NO_TARGET` where there is none; empty as `read` is."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of tokens of each text, [texts]."""
        return np.fromiter((len(ids) for ids in self.ids), dtype=np.int64, count=len(self.ids))

    def share_of(self, token: int) -> float:
        """Which share of all tokens is `token`."""
        return sum(int((ids == token).sum()) for ids in self.ids) / max(1, int(self.lengths.sum()))

    def width_of(self, longest: int) -> int:
        """Tokens of a batch whose longest text has `longest`."""
        return self.plan.width(max(1, longest), self.limit)

    def only(self, rows: NDArray[np.int64]) -> Tokens:
        """Those of the texts with these numbers, in this order."""
        features = None if self.features is None else self.features[rows]
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            features=features,
            read=tuple(self.read[row] for row in rows) if self.read else (),
            targets=tuple(self.targets[row] for row in rows) if self.targets else (),
        )

    def targets_of(self, rows: NDArray[np.int64], width: int) -> NDArray[np.int64]:
        """The right answers of the tokens of these texts, int64 [rows, width]."""
        table = np.full((len(rows), width), NO_TARGET, dtype=np.int64)
        for line, row in enumerate(rows):
            table[line, : len(self.targets[row])] = self.targets[row]
        return table

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The texts with these numbers as one padded batch, on the CPU."""
        ids = [self.ids[row] for row in rows]
        padded = pad(ids, self.pad_id, self.width_of(max(map(len, ids))))
        features = None if self.features is None else torch.from_numpy(self.features[rows])
        return Batch(
            rows, torch.from_numpy(padded.input_ids), torch.from_numpy(padded.attention_mask), features
        )


def dataset_of(config: JobConfig, task: Task) -> Dataset:
    """The data set of a job; see `read_dataset`."""
    steps = steps_of(config.clean, keep_length=config.task.placed)
    return read_dataset(config.dataset, task, steps, skip=config.train.missing_answers == "skip")


def read_dataset(folder: Path, task: Task, steps: Sequence[str], *, skip: bool = False) -> Dataset:
    """Read and check a data set's folder; texts go through the cleaning `steps`, as they do in inference.

    With `skip`, answers that no training row has are not learnt, and left out of the validation rows.

    The rows of the mart are clean to these steps when the loop file has not changed since: then the steps
    leave them as they are.

    Raises:
        DataError: a file is missing or broken, a split is empty, a target is none that the task knows, or
            the training rows do not hold all that has to be learnt.
    """
    digest = _read_digest(folder / "dataset.json")
    train, validation = (_read_rows(folder / f"{split}.parquet", task) for split in ("train", "validation"))
    profile = task.profile(train.values)
    contract = task.contract(profile)
    if skip:
        contract = taught(contract, profile, task.section)
        validation = _known(validation, contract, task)
    learnt = training_task(contract)
    reads = fit_reading(task.section, train.table)

    def prepare(found: _Found) -> Rows:
        where = str(found.path)
        targets = learnt.targets(found.values, where)
        instances = clean_instances(instances_of(task.section, found.table), reads, steps, where)
        return Rows(tuple(instances), found.values, targets)

    dataset = Dataset(digest, prepare(train), prepare(validation), profile, contract, reads)
    learnt.require_learnable(dataset.train.targets, str(train.path))
    return dataset


def _read_digest(path: Path) -> str:
    try:
        return _Description.model_validate_json(path.read_bytes()).digest
    except (OSError, ValidationError) as error:
        raise DataError(
            "data set's description cannot be read",
            where=str(path),
            expected="JSON with a digest",
            found=str(error),
        ) from None


@dataclass(frozen=True)
class _Found:
    """What a file of a split holds."""

    path: Path
    table: pa.Table
    """The columns of the task."""
    values: tuple[Any, ...]
    """Of its target."""


def _read_rows(path: Path, task: Task) -> _Found:
    wanted = [*task.section.reads, task.target]
    try:
        table = pq.read_table(path, columns=wanted).select(wanted)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(
            "split cannot be read",
            where=str(path),
            expected=f"Parquet with columns {', '.join(wanted)}",
            found=str(error).splitlines()[0],
            remedy="build the data set again",
        ) from None
    if table.num_rows == 0:
        raise DataError(
            f"no {path.stem} rows",
            where=str(path),
            expected="at least one row",
            remedy="wait for more data, or change split in the loop file",
        )
    filled = (TEXT,) if task.section.optional_target else (TEXT, task.target)
    for column in filled:
        if (empty := table[column].null_count) > 0:
            raise DataError(
                f"{empty} row(s) without {column}", where=str(path), expected=f"a {column} in each row"
            )
    return _Found(path, table, tuple(task.truths(table)))


def _known(found: _Found, contract: OutputContract, task: Task) -> _Found:
    """Validation rows without the answers that are not learnt."""
    if not contract.unlearnt:
        return found
    log.warning("no training row for %s: trained without", ", ".join(contract.unlearnt))
    table = known_rows(found.table, contract, task.section)
    if not table.num_rows:
        raise DataError(
            "no validation row has an answer that is learnt",
            where=str(found.path),
            expected=f"a row without {', '.join(contract.unlearnt)}",
            remedy="wait for more data, or change split in the loop file",
        )
    return _Found(found.path, table, tuple(task.truths(table)))


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


def tokenise(
    tokenizer: Tokenizer,
    rows: Sequence[str] | Sequence[Instance],
    reads: Reading = TEXT_ALONE,
    *,
    placed: bool = False,
) -> Tokens:
    """Token ids of each of `rows`, what is read beside them, and for `placed` where the tokens stand."""
    rows = as_instances(rows)
    encodings = encode(tokenizer, inputs_of(rows, reads), placed=placed)
    ids = tuple(np.array(encoding.ids, dtype=np.int32) for encoding in encodings)
    read = [tokenised(row.text, row.text, each) for row, each in zip(rows, encodings, strict=True) if placed]
    return Tokens(ids, pad_id_of(tokenizer), features=reads.numbers(rows), read=tuple(read))


def require_tokens(tokens: Tokens, rows: Sequence[Instance]) -> None:
    """Raises ConfigurationError where a text has no token: an encoder has nothing to read there."""
    empty = [row.text for row, ids in zip(rows, tokens.ids, strict=True) if not len(ids)]
    if empty:
        raise ConfigurationError(
            f"{len(empty):,} of {len(rows):,} texts have no token for this base model",
            where="train.base_model",
            expected="a token in each text: most tokenizers add [CLS] and [SEP], this one adds none",
            found=", ".join(map(ascii, sorted(set(empty))[:3])),
            remedy="quarantine such texts by a row check (kind: matches), or name a base model whose"
            " tokenizer.json has a post_processor that adds special tokens",
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


def sorted_batches(lengths: NDArray[np.int64], plan: Plan) -> Iterator[NDArray[np.int64]]:
    """Row numbers by length, longest first, so that memory runs out at once or never. For inference."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + plan.texts_of(int(lengths[order[start]]))
        yield order[start:end]
        start = end
