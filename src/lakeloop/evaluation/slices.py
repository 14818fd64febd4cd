"""Parts of the test rows that are looked at by themselves: by right answer, by column, length or script.

Columns are those that the model reads beside the text, and those of the source that the loop file names in
`evaluate.slices`, which come with the rows under names of their own (`group`).
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lakeloop.evaluation.mistakes import excerpt
from lakeloop.spec.tasks.base import LANGUAGE, in_words
from lakeloop.tasks.reading import instances_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.tasks.base import Task

FEWEST_ROWS = 20
"""Of fewer rows a slice says nothing."""
_MOST_VALUES = 200
"""A column with more values is no column to slice by."""
_FEW_NUMBERS = 10
"""A column of numbers with no more values is sliced by each of them, else by thirds."""
_LETTERS = 500
_LONGEST_NAME = 80
"""Characters of a value that name its slice: a column may hold whole texts."""
_THIRDS = ("low", "middle", "high")
_LENGTHS = ("short", "middle", "long")


class Slice(NamedTuple):
    """Some of the rows."""

    name: str
    """Of the column, then of its value."""
    within: NDArray[Any]
    """bool [rows]: which are in it."""
    column: str = ""
    """What it is a value of."""


_GROUP = "group "
"""Begins the names of columns that the loop file asks for; no column of the mart has a blank in its name."""


def group(column: str) -> str:
    """What a table of rows calls the column of the source by which the loop file asks for slices."""
    return _GROUP + column


def asked_for(slices: Sequence[Slice]) -> list[Slice]:
    """Those of columns that the loop file names."""
    return [part for part in slices if part.column.startswith(_GROUP)]


def slices_of(rows: pa.Table, task: Task) -> list[Slice]:
    """The slices of `rows` (columns of the task) that have enough of them and are not all of them."""
    found = [
        *_of_targets(task.truths(rows)),
        *_of_features(rows, task),
        *_of_groups(rows),
        *_of_texts(rows, task),
    ]
    return [each for each in found if FEWEST_ROWS <= each.within.sum() < rows.num_rows]


def _of_targets(truths: Sequence[Any]) -> Iterator[Slice]:
    if all(isinstance(truth, str) for truth in truths):
        yield from _by_value("answer", truths)


def _of_features(rows: pa.Table, task: Task) -> Iterator[Slice]:
    for feature in task.section.features:
        values = rows[feature.column].to_pylist()
        if feature.kept_as == "string":
            yield from _by_value(feature.name, values)
        else:
            yield from _by_third(feature.name, values, _THIRDS)


def _of_groups(rows: pa.Table) -> Iterator[Slice]:
    for name in rows.column_names:
        if not name.startswith(_GROUP):
            continue
        values = rows[name].to_pylist()
        numbers = all(isinstance(value, int | float) for value in values if value is not None)
        if numbers and len(set(values)) > _FEW_NUMBERS:
            found = _by_third(name.removeprefix(_GROUP), values, _THIRDS)
        else:
            words = [None if value is None else in_words(value) for value in values]
            found = _by_value(name.removeprefix(_GROUP), words)
        yield from (part._replace(column=name) for part in found)


def _of_texts(rows: pa.Table, task: Task) -> Iterator[Slice]:
    texts = [instance.text for instance in instances_of(task.section, rows)]
    yield from _by_third("length", [len(text) for text in texts], _LENGTHS)
    yield from _by_value("script", [script_of(text) for text in texts])
    if LANGUAGE in rows.column_names:
        yield from _by_value(LANGUAGE, rows[LANGUAGE].to_pylist())


def script_of(text: str) -> str:
    """The script that most letters of the beginning of `text` are of, by Unicode: `LATIN`, `CJK`; or `none`.

    A language has one or few scripts: this tells Chinese from English, and not French from English.
    """
    beginning = text[:_LETTERS]
    if beginning.isascii():
        return "LATIN" if any(map(str.isalpha, beginning)) else "none"
    counts = Counter(map(_script_of_letter, filter(str.isalpha, beginning)))
    return counts.most_common(1)[0][0] if counts else "none"


@functools.cache
def _script_of_letter(letter: str) -> str:
    # The name of a letter begins with its script: LATIN SMALL LETTER A, CJK UNIFIED IDEOGRAPH-4E00.
    return unicodedata.name(letter, "none").split(maxsplit=1)[0]


def _by_value(column: str, values: Sequence[Any]) -> Iterator[Slice]:
    counts = Counter(value for value in values if value is not None)
    if len(counts) > _MOST_VALUES:
        return
    found = np.array(values, dtype=object)
    names: set[str] = set()
    for value in sorted(counts):
        name = f"{column} {value if len(value) <= _LONGEST_NAME else excerpt(value, _LONGEST_NAME)}"
        if name in names:  # long values that begin alike
            name = f"{name} ({len(names) + 1})"
        names.add(name)
        yield Slice(name, found == value, column)


def _by_third(column: str, values: Sequence[float | None], names: Sequence[str]) -> Iterator[Slice]:
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = found[~np.isnan(found)]
    if not len(known):
        return
    first, second = np.quantile(known, [1 / 3, 2 / 3])
    parts = (found <= first, (found > first) & (found <= second), found > second)
    for name, within in zip(names, parts, strict=True):
        yield Slice(f"{column} {name}", within, column)
