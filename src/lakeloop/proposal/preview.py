"""What a loop would read: some rows, some refused records, the days, how its texts suit the base model.

The loop's own source reads, so that what is shown is what will happen. Bounded: the first day or days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakeloop.base_model import TOKENIZER, folder_of, locate_base_model
from lakeloop.bases.vocabulary import read_vocabulary
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.base import Block, Source
from lakeloop.sources.registry import open_source
from lakeloop.sources.rejects import Reject
from lakeloop.spec.loop import LoopSpec

SHOWN = 5
_MOST_RECORDS = 5_000
_MOST_TEXTS = 1_000
_MOST_FETCHED = 3
"""Days, where each has to be fetched."""


@dataclass(frozen=True)
class TextFit:
    """How texts suit the base model."""

    texts: int
    unknown: float
    """Share of tokens that the base model does not know."""
    too_long: float
    """Share of texts with more tokens than `train.max_tokens`."""
    longest: int
    """Tokens of the longest text."""


@dataclass(frozen=True)
class Preview:
    """A look at what a loop would read."""

    days: tuple[str, ...]
    read: int
    """Records that were looked at."""
    accepted: int
    rows: tuple[dict[str, Any], ...]
    """The first accepted, by stored column."""
    rejects: tuple[Reject, ...]
    """The first refused."""
    undeclared: Counter[str]
    """Field that the loop file does not declare -> records that have it."""
    empty: tuple[str, ...]
    """Declared columns in which no accepted row has a value; none where no row was accepted."""
    unknown: Counter[str]
    """Right answer that the task does not know -> rows that have it."""
    answers: Counter[str]
    """Right answer -> rows that have it."""
    fit: TextFit | None
    """None where no text was accepted, or the base model is not there."""


def preview(loop: LoopSpec, settings: Settings, most_days: int | None = None) -> Preview:
    """Read the first records of the first days, of `most_days` at most; of few where each must be fetched.

    Raises:
        LakeloopError: what ingest would raise for the first day.
    """
    source = open_source(loop, settings)
    days = tuple(source.partitions())
    if most_days is None and source.unread_bytes() is None:
        most_days = _MOST_FETCHED
    read = accepted = 0
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    texts: list[str] = []
    undeclared: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    column = loop.source.stored(loop.task.text)
    answer = loop.task.roles()[loop.task.target].column
    target = loop.source.stored(answer) if answer in loop.source.types else None
    for block in _blocks(source, days[:most_days]):
        undeclared.update(block.undeclared)
        values = block.rows[target].to_pylist() if target else []
        unknown += loop.task.unknown(values, normalise=loop.clean.normalise)
        answers += loop.task.counted(values, normalise=loop.clean.normalise)
        for name in block.rows.schema.names:
            filled[name] += block.rows.num_rows - block.rows[name].null_count
        read += block.read
        accepted += block.rows.num_rows
        rejects += block.rejects[: SHOWN - len(rejects)]
        rows += block.rows.slice(0, SHOWN - len(rows)).to_pylist()
        wanted = block.rows.slice(0, max(_MOST_TEXTS - len(texts), 0))
        texts += [text for text in wanted[column].to_pylist() if text]
    fit = text_fit(texts, loop, settings)
    empty = tuple(field.name for field in loop.source.fields if accepted and not filled[field.stored])
    first, refused = tuple(rows), tuple(rejects)
    return Preview(days, read, accepted, first, refused, undeclared, empty, unknown, answers, fit)


def _blocks(source: Source, days: Sequence[str]) -> Iterator[Block]:
    read = 0
    for day in days:
        delivery = source.find(day)
        for block in delivery.blocks() if delivery else ():
            yield block
            read += block.read
            if read >= _MOST_RECORDS:
                return


def text_fit(texts: Sequence[str], loop: LoopSpec, settings: Settings) -> TextFit | None:
    """How `texts` suit the loop's base model; None without texts, or where its tokenizer is not found."""
    file = _tokenizer(loop, settings)
    if not texts or file is None:
        return None
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = read_vocabulary(file).unknown
    lengths = tokens = strangers = 0
    longest = 0
    for encoding in tokenizer.encode_batch(list(texts)):
        size = len(encoding.ids)
        tokens += size
        strangers += sum(token == unknown for token in encoding.ids)
        lengths += size > loop.train.max_tokens
        longest = max(longest, size)
    return TextFit(len(texts), strangers / tokens, lengths / len(texts), longest)


def _tokenizer(loop: LoopSpec, settings: Settings) -> Path | None:
    try:
        files = locate_base_model(loop.train.base_model, folder_of(loop.train, settings))
    except ConfigurationError:  # `check` says it, and so does the training
        return None
    return files[0].parent / TOKENIZER
