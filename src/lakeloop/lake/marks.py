"""Marks of rows: 128 bits that say what is in a row, made a column at a time; and the digest of rows by them.

Equal values have equal marks, whatever the order of rows and columns, files, batches or dictionary encoding.
Null leaves no mark, so that a column that a table was given later changes nothing. Marks tell rows apart
that differ by chance: they are xxHash and sums, not sha256, and who wants to can make two rows that share
one. Where that must not be, rows that share a mark are looked at again.

The digest of `lakeloop.lake.digest`, by the sha256 of each row, costs many times as much; it is that of data
sets, and of all tables but those of a day's rows.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_128_digest

from lakeloop.lake.digest import ContentDigest, exact

PREFIX = "rows2:"
"""How a digest by marks begins."""
MARKED = frozenset({"raw", "quarantine", "staging", "mart"})
"""Tables whose digest is by marks; earlier versions of Lakeloop had it by sha256, as for all others."""
Marks = npt.NDArray[np.uint64]
"""Of rows: an array of 2 words x rows."""

_BATCH_ROWS = 16_384
_TEXTS_AT_ONCE = 512
_SAMPLE_ROWS, _FEW = 256, 32
"""A column with so few different values in its first rows is looked at a value at a time, not a row."""
_SPREAD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of splitmix64
_ODD = np.uint64(0x9E3779B97F4A7C15)


def marks_of(batch: pa.RecordBatch, names: Sequence[str]) -> Marks:
    """The marks of the rows of `batch` by the columns `names`.

    The marks by some columns and those by others add up to the marks by all of them.

    Raises:
        TypeError: a column is of a nested type.
    """
    marks = np.zeros((2, batch.num_rows), np.uint64)
    for name in names:
        marks += column_marks(name, batch.column(name))
    return marks


def column_marks(name: str, values: pa.Array) -> Marks:
    """The marks of rows by one column, called `name`; as `marks_of`."""
    if pa.types.is_null(values.type) or values.null_count == len(values):
        return np.zeros((2, len(values)), np.uint64)
    if pa.types.is_dictionary(values.type):
        return _of_few(name, values)
    values = exact(values)
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        marks = _of_numbers(values)
    elif _has_few(values):
        return _of_few(name, values.dictionary_encode())
    else:
        marks = _of_texts(values)
    marks = _mixed(marks + _seeds(name))
    if values.null_count:
        marks[:, values.is_null().to_numpy(zero_copy_only=False)] = 0
    return marks


def _of_numbers(values: pa.Array) -> Marks:
    whole = values.cast(pa.int64(), safe=False)
    words = pc.fill_null(whole, 0).to_numpy().view(np.uint64)
    return np.stack([words, words * _ODD])


def _of_texts(values: pa.Array) -> Marks:
    binary = pa.large_binary() if pa.types.is_large_string(values.type) else pa.binary()
    values = pc.fill_null(values.cast(binary), b"") if values.null_count else values.cast(binary)
    # A few at a time: asking the system for the memory of so many objects costs as much as all the rest.
    parts = (values.slice(start, _TEXTS_AT_ONCE) for start in range(0, len(values), _TEXTS_AT_ONCE))
    digests = b"".join([b"".join(map(xxh3_128_digest, part.to_pylist())) for part in parts])
    return np.frombuffer(digests, "<u8").reshape(-1, 2).T


def _has_few(values: pa.Array) -> bool:
    sample = values.slice(0, _SAMPLE_ROWS)
    return len(values) > _SAMPLE_ROWS and pc.count_distinct(sample).as_py() <= _FEW


def _of_few(name: str, values: pa.DictionaryArray) -> Marks:
    """Of a column in which the same values come again and again."""
    of_value = column_marks(name, values.dictionary)
    nothing = np.zeros((2, 1), np.uint64)
    places = pc.fill_null(values.indices, len(values.dictionary)).to_numpy(zero_copy_only=False)
    return np.hstack([of_value, nothing])[:, places]


@functools.cache
def _seeds(name: str) -> Marks:
    return np.frombuffer(xxh3_128_digest(name.encode()), "<u8").reshape(-1, 1)


def _mixed(words: Marks) -> Marks:
    """Each word spread over all its bits (splitmix64), one to one."""
    words = (words ^ (words >> np.uint64(30))) * _SPREAD[0]
    words = (words ^ (words >> np.uint64(27))) * _SPREAD[1]
    return words ^ (words >> np.uint64(31))


class MarkedDigest:
    """The digest of rows by their marks, which come one batch after the other; 48 bytes are held.

    It is the sum of what is in the rows (4 words that are made of the 2 of each), and how many there are.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._sums = np.zeros(4, np.uint64)

    def update(self, batch: pa.RecordBatch) -> None:
        """Add the rows of `batch`, by all columns. Raises TypeError when one is of a nested type."""
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            part = batch.slice(start, _BATCH_ROWS)
            self.add(marks_of(part, part.schema.names))

    def add(self, marks: Marks) -> None:
        """Add rows whose marks by all columns are known."""
        first, second = marks
        # Not the sum of the columns' sums: that would not see values that are moved from row to row.
        one = _mixed(first ^ _mixed(second))
        other = _mixed(second + one)
        words = (one, other, _mixed(one ^ _ODD), _mixed(other ^ _ODD))
        self._sums += np.array([word.sum(dtype=np.uint64) for word in words])
        self._rows += marks.shape[1]

    def hexdigest(self) -> str:
        """`PREFIX` and 64 hex characters, for all rows so far."""
        said = f"{self._rows} {' '.join(map(str, self._sums.tolist()))}"
        return PREFIX + hashlib.sha256(said.encode()).hexdigest()


def running_digest(table: str, like: str = "") -> ContentDigest | MarkedDigest:
    """What makes the digest of rows of `table`; of the kind of the digest `like`, where one is given."""
    marked = like.startswith(PREFIX) if like else table in MARKED
    return MarkedDigest() if marked else ContentDigest()


def digest_of(table: str, rows: Iterable[pa.RecordBatch], like: str = "") -> str:
    """The digest of rows of `table`, as `running_digest` makes it."""
    digest = running_digest(table, like)
    for batch in rows:
        digest.update(batch)
    return digest.hexdigest()
