"""Which rows, or keys, of a day may have been there before: those whose marks are equal.

Neither rows nor keys are kept, and no more than a million marks in memory. Marks of rows that differ are
equal by chance in no time that there is; somebody could make such rows: who drops one looks at it again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lakeloop.lake.marks import Marks

_RUN_ROWS = 1 << 20
"""Rows whose words are held before they go to a temporary file: 16 MiB."""
_WORD = 8
_FILTER_BITS = 22
_ONE, _SIX, _TWELVE, _LOW = map(np.uint64, (1, 6, 12, 63))
_Words = npt.NDArray[np.uint64]


class Alike(NamedTuple):
    """Rows that have the mark of another."""

    places: npt.NDArray[np.intp]
    """Their numbers from 0, in order."""
    marks: int
    """How many different marks they have."""


class Met:
    """A filter that knows marks again: each sets three bits of one of four million words.

    A mark that was there before is always known; of others, behind a million marks 4 in 100,000 are taken for
    known, and behind ten million 3 in 1000.
    """

    def __init__(self) -> None:
        self._words = np.zeros(1 << _FILTER_BITS, np.uint64)

    def seen(self, marks: Marks) -> npt.NDArray[np.bool_]:
        """For each of `marks`, whether it may have been there before; they are known from then on."""
        first, second = marks
        places = (first >> np.uint64(64 - _FILTER_BITS)).astype(np.intp)
        bits = _ONE << (second & _LOW) | _ONE << (second >> _SIX & _LOW) | _ONE << (second >> _TWELVE & _LOW)
        known: npt.NDArray[np.bool_] = (self._words[places] & bits) == bits
        np.bitwise_or.at(self._words, places, bits)
        ordered = np.sort(marks[0])
        if (ordered[1:] == ordered[:-1]).any():
            again = np.ones(marks.shape[1], np.bool_)
            again[np.unique(marks[0], return_index=True)[1]] = False
            known |= again
        return known


class Repeats:
    """Rows by their marks, in order."""

    def __init__(self) -> None:
        self._held: list[Marks] = []
        self._held_rows = 0
        self._file: Any = None
        self._runs: list[_Run] = []

    def add(self, marks: Marks) -> None:
        """Add rows by their marks."""
        self._held.append(marks)
        self._held_rows += marks.shape[1]
        if self._held_rows >= _RUN_ROWS:
            self._put_by()

    def alike(self) -> Alike:
        """The rows whose marks are not their own alone; nothing can be added afterwards."""
        if self._runs:
            self._put_by()
        twice = np.concatenate([np.empty(0, np.uint64), *(_twice(part) for part in self._parts())])
        if not len(twice):
            return Alike(np.empty(0, np.intp), 0)
        # The few that may be equal, sorted by their words.
        found = [(start + near, words[:, near]) for start, words, near in self._like(twice)]
        places = np.concatenate([each for each, _ in found])
        first, second = np.hstack([words for _, words in found])
        order = np.lexsort((second, first))
        same = (first[order][1:] == first[order][:-1]) & (second[order][1:] == second[order][:-1])
        begins = np.concatenate(([True], ~same))
        alone = begins & np.concatenate((~same, [True]))
        return Alike(np.sort(places[order[~alone]]), int(begins.sum() - alone.sum()))

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
    """Words that were put by: where they are, and where the sorted ones begin with byte 0, 1 ..."""

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
