"""What an example is: a title, the columns of its rows, and where rows come from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Value = str | int | float | None
Row = Mapping[str, Value]
"""One row without key and time: column -> value. A row of a dated data set says `AT` itself."""

KEY = "id"
AT = "at"
"""Columns that every example has: what names a row, and when it happened."""


@dataclass(frozen=True)
class Example:
    """One scenario that ships.

    The loop file is `loops/<name>.yaml` beside this module, where `$name` stands for the name of the loop and
    `$answers` for the right answers, in the form of YAML.
    """

    title: str
    text: str
    """Column with the text."""
    answer: str
    """Column with the right answer."""
    answers: tuple[str, ...]
    """The right answers in generated rows."""
    draw: Callable[[random.Random, int], Row]
    """One row of the day with this number, from 0; columns in the order of a file."""
    format: Literal["jsonl", "csv"] = "jsonl"
    days: int = 3
    rows_a_day: int = 220
    identity: tuple[str, ...] = ()
    """Columns that tell two rows of one text apart."""
    answered: Literal["class", "tags", "text"] = "class"
    """What an answer is: one of `answers`, a tag for each word, or a text."""
    wanted: str = ""
    """Which public data set `read` takes, and which of its files; empty where `read` is None."""
    read: Callable[[Path], Iterator[Row]] | None = None
    """The rows of the public data set in a folder. Raises DataError where its files are not there."""
