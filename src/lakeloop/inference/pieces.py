"""Work in pieces: who has it done may do other work between them.

A generator yields before each piece what that will cost, in tokens that a network reads, and returns the
result in the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TypeAlias, TypeVar

from lakeloop.tasks.reading import Instance

T = TypeVar("T")

Pieces: TypeAlias = Generator[int, None, T]

CHARACTERS_A_TOKEN = 400
"""A tokeniser takes as long for so many characters as a small encoder for one token: 0.3 ms a thousand, and
0.2 ms (one core of an Intel Xeon)."""
_CHARACTERS = 20_000
"""Characters that are cleaned and tokenised in one piece; a text that has more is one."""


def done(pieces: Pieces[T]) -> T:
    """The result, of all pieces one after the other."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: T = end.value
            return result


def reading_cost(characters: int) -> int:
    """What it costs to clean and tokenise so many characters."""
    return 1 + characters // CHARACTERS_A_TOKEN


def reading_parts(instances: Sequence[Instance]) -> Iterator[tuple[list[Instance], int]]:
    """Deal rows, in their order, into parts to clean and tokenise; each with what it costs."""
    part: list[Instance] = []
    size = 0
    for row in instances:
        characters = sum(map(len, row.words))
        if part and size + characters > _CHARACTERS:
            yield part, reading_cost(size)
            part, size = [], 0
        part.append(row)
        size += characters
    if part:
        yield part, reading_cost(size)
