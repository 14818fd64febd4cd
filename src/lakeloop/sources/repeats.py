"""Which rows of a day were there before, or which keys, without keeping rows or keys.

Equal are those whose marks are: 64 bits that no sender can aim at, for they come with a secret of this process,
and 64 that are anybody's. Two of 5 million rows would share the first with a chance of 1 in a million, and both
in no time that there is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from lakeloop.lake.marks import Marks

_RUN_ROWS = 1 << 20
"""Rows whose words are held before they go to a temporary file: 16 MiB."""
_WORD = 8
_Words = npt.NDArray[np.uint64]


class Repeats:
    """Rows by their marks, in order. A million are held at most; a byte a row more for what is said of them."""

    def __init__(self) -> None:
        self.rows = 0
        self._held: list[Marks] = []
        self._held_rows = 0
        self._file: Any = None
        self._runs: list[_Run] = []

    def add(self, marks: Marks) -> None:
        """Add rows by their marks, of 3 words each."""
        self._held.append(marks[[2, 0]])
        self._held_rows += marks.shape[1]
        self.rows += marks.shape[1]
        if self._held_rows >= _RUN_ROWS:
            self._put_by()

    def mask(self) -> npt.NDArray[np.bool_]:
        """For each row, whether an equal one was added before it; nothing can be added afterwards."""
        repeated = np.zeros(self.rows, np.bool_)
        if self._runs:
            self._put_by()
        twice = np.concatenate([np.empty(0, np.uint64), *(_twice(part) for part in self._parts())])
        if len(twice):
            # The few that may be equal, sorted by their words and then by place.
            found = [(start + near, words[:, near]) for start, words, near in self._like(twice)]
            places = np.concatenate([each for each, _ in found])
            secret, other = np.hstack([words for _, words in found])
            order = np.lexsort((places, other, secret))
            places, secret, other = places[order], secret[order], other[order]
            repeated[places[1:][(secret[1:] == secret[:-1]) & (other[1:] == other[:-1])]] = True
        return repeated

    def _put_by(self) -> None:
        """What is held goes to the file: in order, and the first word sorted."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  (without a name; it goes with the process)
        words = np.hstack(self._held) if self._held else np.empty((2, 0), np.uint64)
        self._held, self._held_rows = [], 0
        ordered = np.sort(words[0])
        borders = np.searchsorted(ordered, np.arange(256, dtype=np.uint64) << np.uint64(56))
        self._runs.append(
            _Run(self._file, self._file.tell(), words.shape[1], [*borders.tolist(), len(ordered)])
        )
        self._file.write(np.ascontiguousarray(words))
        self._file.write(ordered)

    def _parts(self) -> Iterator[_Words]:
        """The first word of all rows, in parts of which each has all that are equal."""
        if not self._runs:
            yield np.concatenate([np.empty(0, np.uint64), *(words[0] for words in self._held)])
            return
        for byte in range(256):
            yield np.concatenate([run.sorted_part(byte) for run in self._runs])

    def _like(self, twice: _Words) -> Iterator[tuple[int, Marks, npt.NDArray[np.intp]]]:
        """Number of a first row, words from there on, and which of them have their first in `twice`."""
        start = 0
        for words in (run.words() for run in self._runs) if self._runs else self._held:
            yield start, words, np.flatnonzero(np.isin(words[0], twice))
            start += words.shape[1]


class _Run:
    """Words that were put by: where in the file they are, and the sorted ones begin whose first byte is 0, 1 ..."""

    def __init__(self, file: Any, start: int, rows: int, borders: list[int]) -> None:
        self._file = file
        self._start = start
        self._rows = rows
        self._borders = borders

    def words(self) -> Marks:
        """In the order in which they were added."""
        return self._read(self._start, 2 * self._rows).reshape(2, self._rows)

    def sorted_part(self, byte: int) -> _Words:
        """The first words that begin with `byte`, in order."""
        first, behind = self._borders[byte : byte + 2]
        return self._read(self._start + (2 * self._rows + first) * _WORD, behind - first)

    def _read(self, start: int, words: int) -> _Words:
        self._file.seek(start)
        return np.frombuffer(self._file.read(words * _WORD), np.uint64)


def _twice(words: _Words) -> _Words:
    """The values that are there more than once."""
    words = np.sort(words)
    return np.unique(words[1:][words[1:] == words[:-1]])
