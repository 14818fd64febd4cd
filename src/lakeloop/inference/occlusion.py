"""Which words an answer hangs on: each is left out in turn, and the model is asked again.

Occlusion (Zeiler and Fergus 2014; Li et al. 2016, who call it erasure) needs nothing but answers: what is
explained is the artifact that is served, whatever its network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lakeloop.inference.predictor import Predictor
    from lakeloop.tasks.base import Answer
    from lakeloop.tasks.reading import Instance

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"
"""Letters of scripts that put no blanks between words; each stands for a word."""
WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[\w'\u2019])+")
MOST_PARTS = 40
"""Of a longer text, neighbouring words are left out together."""


class Part(NamedTuple):
    """A word of a text, or some that stand together."""

    text: str
    effect: float
    """How much less the model says what it said, when this is left out: of a probability, or of a number."""


def parts_of(text: str, read: int) -> list[tuple[int, int]]:
    """From which and up to which character each part of `text` goes that is left out.

    Of a model that reads `read` tokens: words behind so many are never read.
    """
    words = [word.span() for word in islice(WORD.finditer(text), read)]
    count = min(len(words), MOST_PARTS)
    ends = [number * len(words) // count for number in range(count + 1)] if count else []
    return [(words[a][0], words[b - 1][1]) for a, b in pairwise(ends)]


def effects(
    predictor: Predictor, rows: Sequence[Instance], answers: Sequence[Answer]
) -> list[tuple[Part, ...]]:
    """The effect of each part of each row's text on the answer that `predictor` gave it, in their order.

    Empty for a row of which nothing is left without one of its parts, and for answers that cannot be weighed.
    """
    places, asked = [], []
    for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        if answer.weight_of(answer) is None:
            continue
        for begin, end in parts_of(row.text, predictor.description.max_tokens):
            rest = " ".join(f"{row.text[:begin]} {row.text[end:]}".split())
            if WORD.search(rest):
                places.append((number, row.text[begin:end]))
                asked.append(row._replace(text=rest))
    found: list[list[Part]] = [[] for _ in rows]
    for (number, text), without in zip(places, predictor.predict(asked), strict=True):
        said = answers[number]
        whole, rest_weight = said.weight_of(said), without.weight_of(said)
        if whole is not None and rest_weight is not None:
            found[number].append(Part(text, whole - rest_weight))
    return [tuple(each) for each in found]


def strongest(parts: Sequence[Part], most: int) -> tuple[Part, ...]:
    """The `most` parts with the largest effects, whichever way."""
    return tuple(sorted(parts, key=lambda part: -abs(part.effect))[:most])
