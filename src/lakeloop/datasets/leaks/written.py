"""The right answer in the words of the text: `[refund] I want my money back`, a question with its solution.

That an answer is a word of some texts is no leak: `sports` is one of the news. It is one where texts have
their own and hardly any have another, or where it stands behind a mark such as `topic:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakeloop.datasets.leaks.answers import answer_table
from lakeloop.datasets.leaks.base import Looked, share
from lakeloop.measures.leaking import Leak
from lakeloop.spec.leaks import Kind
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import TEXT, TEXT_PAIR

_MOST_ROWS = 20_000
"""Rows that are looked at; of more, as many at equal distances."""
_FEWEST_ROWS = 10
_SHORTEST = 3
"""Characters of an answer, of which one is a letter; others are in texts by chance."""
_OWN, _OTHERS = 0.5, 0.02
"""A answer says itself where at least so many of its rows have its words, and at most so many of others."""
_OF_ANSWERS = 0.5
"""So many of the answers do where the text leaks."""
_MARKED, _MARKED_RIGHT = 0.01, 0.9
"""Share of the rows with an answer behind a mark, and how often it is the right one, where the text leaks."""
_MARK = r"[:=|#<\[({/]\s*[\"']?"
_ANSWER_WORDS = 3
_ANSWERS = 0.5
"""Share of the rows whose answer stands in the text, where texts are written, from which on it leaks."""


class WrittenTarget:
    """No text says its answer word for word."""

    kind: ClassVar[Kind] = "written"

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def unfit(self, loop: LoopSpec) -> str:
        if loop.task.placed:
            return "answers are places in the text"
        if loop.task.writes:
            return ""
        if not loop.task.answers:
            return "answers are numbers"
        return "" if _telling(loop.task.answers) else "answers are numbers or too short to be looked for"

    def look(self, looked: Looked) -> Iterator[Leak]:
        step = max(1, -(-looked.rows.num_rows // _MOST_ROWS))
        places = np.arange(0, looked.rows.num_rows, step)
        roles = looked.loop.task.roles()
        for column in (TEXT, TEXT_PAIR):
            if column in roles and roles[column].column not in looked.loop.leaks.ignore:
                texts = pc.utf8_lower(looked.rows[column].take(pa.array(places)))
                found = _written if looked.loop.task.writes else _given
                for said, rows in found(looked, texts, places):
                    yield Leak(
                        kind="written",
                        column=roles[column].column,
                        rows=len(rows),
                        found=said,
                        examples=looked.examples(
                            rows,
                            lambda at: f"{looked.rows[looked.loop.task.target][at]}: {looked.text(at)}",
                        ),
                    )


def _telling(answers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in answers if len(each) >= _SHORTEST and re.search(r"[^\W\d_]", each))


def _given(
    looked: Looked, texts: pa.ChunkedArray, places: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """What is suspicious of answers in `texts`, small letters, of the rows at `places`; at most one thing."""
    answers = _telling(looked.loop.task.answers)
    target = looked.rows[looked.loop.task.target].take(pa.array(places))
    truth = answer_table(target, looked.loop.task, answers)
    said = np.stack([_says(texts, answer, "") for answer in answers], axis=1)
    of, others = truth.sum(axis=0), (~truth).sum(axis=0)
    own = (said & truth).sum(axis=0) / np.maximum(of, 1)
    strange = (said & ~truth).sum(axis=0) / np.maximum(others, 1)
    judged = of >= _FEWEST_ROWS
    telling = judged & (own >= _OWN) & (strange <= _OTHERS)
    if judged.any() and telling.sum() >= _OF_ANSWERS * judged.sum():
        rows = np.asarray((said & truth)[:, telling].any(axis=1))
        named = ", ".join(np.array(answers)[telling][:3])
        words = f"have their own answer in the text, and hardly any has another: {named}"
        yield f"{_of(rows)} {words}", places[rows]
        return
    marked = np.stack([_says(texts, answer, _MARK) for answer in answers], axis=1)
    rows = np.asarray((marked & truth).any(axis=1))
    few = rows.sum() < max(_FEWEST_ROWS, _MARKED * len(places))
    if few or (marked & truth).sum() < _MARKED_RIGHT * marked.sum() or (marked & truth).any(axis=0).sum() < 2:
        return
    yield f"{_of(rows)} have their own answer behind a mark in the text", places[rows]


def _of(rows: NDArray[Any]) -> str:
    return f"{int(rows.sum())} of {len(rows)} rows ({share(rows.sum(), len(rows))})"


def _says(texts: pa.ChunkedArray, answer: str, before: str) -> NDArray[np.bool_]:
    words = re.sub(r"([^\w\s])", r"\\\1", answer.lower())
    begin = before or r"(?:^|[^\p{L}\p{N}_])"
    found = pc.match_substring_regex(texts, pattern=rf"{begin}{words}(?:$|[^\p{{L}}\p{{N}}_])")
    return np.asarray(pc.fill_null(found, False).to_numpy(), dtype=np.bool_)


def _written(
    looked: Looked, texts: pa.ChunkedArray, places: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Of answers that are written: the rows whose text has the answer, of three words or more, in itself."""
    target = looked.rows[looked.loop.task.target].take(pa.array(places)).to_pylist()
    rows, asked = [], 0
    for place, text, answer in zip(places.tolist(), texts.to_pylist(), target, strict=True):
        words = (answer or "").lower().split()
        if len(words) >= _ANSWER_WORDS:
            asked += 1
            if " ".join(words) in " ".join((text or "").split()):
                rows.append(place)
    if asked >= _FEWEST_ROWS and len(rows) >= _ANSWERS * asked:
        words = f"{len(rows)} of {asked} answers of three words or more ({share(len(rows), asked)})"
        yield f"{words} stand in their text, word for word", np.array(rows, dtype=np.int64)
