"""The right answer in a column that the model reads: the column says it by itself, on rows not looked up.

From the rows of the training each value, or each narrow interval of a number, is taken for the answer that is
most frequent with it; what that is worth is counted on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakeloop.datasets.leaks.answers import answer_table
from lakeloop.datasets.leaks.base import TRAIN, Looked, share
from lakeloop.measures.leaking import Leak
from lakeloop.spec.leaks import Kind
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import TEXT_PAIR

_FEWEST = 20
"""Rows that are not of the training, and have a value, to judge a column by."""
_FEWEST_OTHERS = 6
"""Of these, rows that have another answer than the most frequent one: else nothing is shown."""
_MISTAKES = 0.1
"""A column leaks that makes at most this share of the mistakes of who knows no column."""
_EXPLAINED = 0.99
"""A column leaks that explains this share of a number's variance."""
_INTERVALS = 200

Ints = NDArray[np.int64]


class CopiedTarget:
    """No column beside the text, and no second text, says the answer nearly without mistake."""

    kind: ClassVar[Kind] = "copied"

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def unfit(self, loop: LoopSpec) -> str:
        if loop.task.writes:
            return "answers are texts"
        if loop.task.placed:
            return "answers are places in the text"
        return "" if _columns(loop) else "the model reads the text alone"

    def look(self, looked: Looked) -> Iterator[Leak]:
        learnt = looked.sides == TRAIN
        target = looked.rows[looked.loop.task.target]
        for column, name in _columns(looked.loop).items():
            if name in looked.loop.leaks.ignore:
                continue
            values = looked.rows[column]
            if looked.loop.task.answers:
                found = _says_answer(values, target, learnt, looked.loop)
            else:
                found = _says_number(values, target, learnt)
            if found:
                places = np.flatnonzero(~learnt & _filled(values))
                yield Leak(
                    kind="copied",
                    column=name,
                    rows=len(places),
                    found=found,
                    examples=looked.examples(places, lambda at: _both(looked, column, name, at)),  # noqa: B023
                )


def _both(looked: Looked, column: str, name: str, place: int) -> str:
    target = looked.loop.task.target
    return f"{name} {looked.rows[column][place].as_py()}, {target} {looked.rows[target][place].as_py()}"


def _columns(loop: LoopSpec) -> Mapping[str, str]:
    """Column of the mart that a model reads besides the first text -> its name in the loop file."""
    roles = loop.task.roles()
    found = {feature.column: feature.name for feature in loop.task.features}
    return ({TEXT_PAIR: roles[TEXT_PAIR].column} if TEXT_PAIR in roles else {}) | found


def _says_answer(
    values: pa.ChunkedArray, target: pa.ChunkedArray, learnt: NDArray[np.bool_], loop: LoopSpec
) -> str:
    """In words, which answers the values say; empty where they say none."""
    answers = loop.task.answers
    table = answer_table(target, loop.task, answers)
    questions = [("", table.argmax(axis=1), "answer")]
    if not loop.task.classes:  # of several answers each is a question of its own
        questions = [(f"{name}: ", table[:, at].astype(np.int64), name) for at, name in enumerate(answers)]
    for codes, who in ((_codes(values, learnt, missing=False), "that have a value"),
                       (_codes(values, learnt, missing=True), "by whether they have a value")):  # fmt: skip
        said = []
        for begin, truth, _ in questions:
            if worth := _worth(codes, truth, learnt):
                right, asked, base = worth
                said.append(
                    f"{begin}{right} of {asked} rows outside of the training ({share(right, asked)}) {who}"
                    f" are told by it alone; the most frequent answer is right in {share(base, asked)}"
                )
        if said:
            more = f", and {len(said) - 1} more answers" if len(said) > 1 else ""
            return said[0] + more
    return ""


def _worth(codes: Ints, truth: Ints, learnt: NDArray[np.bool_]) -> tuple[int, int, int] | None:
    """Of the rows outside of the training with a known value: right ones, all, right ones by no column.

    None where the column is worth little, or that cannot be told. A code of -1 is no value.
    """
    answers = int(truth.max(initial=0)) + 1
    fit = learnt & (codes >= 0)
    size = int(codes.max(initial=-1)) + 1
    if not fit.any() or not size:
        return None
    counts = np.zeros((size, answers), dtype=np.int64)
    np.add.at(counts, (codes[fit], truth[fit]), 1)
    asked = ~learnt & (codes >= 0)
    asked[asked] = counts[codes[asked]].any(axis=1)
    if asked.sum() < _FEWEST:
        return None
    wrong = int((counts[codes[asked]].argmax(axis=1) != truth[asked]).sum())
    base = int((truth[asked] != counts.sum(axis=0).argmax()).sum())
    if base < _FEWEST_OTHERS or wrong > _MISTAKES * base:
        return None
    total = int(asked.sum())
    return total - wrong, total, total - base


def _says_number(values: pa.ChunkedArray, target: pa.ChunkedArray, learnt: NDArray[np.bool_]) -> str:
    """In words, how well the values say a number; empty where they do not."""
    truth = np.asarray(target.to_numpy(), dtype=np.float64)
    guesses = [_means(_codes(values, learnt, missing=False), truth, learnt)]
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        guesses.append(_line(_numbers(values), truth, learnt))
    best = 0.0
    for guess in guesses:
        asked = ~learnt & np.isfinite(guess)
        if asked.sum() >= _FEWEST and (spread := float(np.var(truth[asked]))) > 0:
            best = max(best, 1 - float(np.mean((truth[asked] - guess[asked]) ** 2)) / spread)
    if best < _EXPLAINED:
        return ""
    return f"it explains {100 * best:.2f} % of the variance of the answer in rows outside of the training"


def _means(codes: Ints, truth: NDArray[np.float64], learnt: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean answer of the rows of the training with the same value; NaN where there are none."""
    fit = learnt & (codes >= 0)
    size = int(codes.max(initial=-1)) + 1
    if not size:
        return np.full(len(codes), np.nan)
    sums = np.bincount(codes[fit], truth[fit], size)
    counts = np.bincount(codes[fit], minlength=size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return np.where(codes >= 0, means[codes], np.nan)


def _line(
    values: NDArray[np.float64], truth: NDArray[np.float64], learnt: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What a line through the rows of the training says of each row; NaN where there is none."""
    fit = learnt & np.isfinite(values)
    if fit.sum() < 2 or np.ptp(values[fit]) == 0:
        return np.full(len(values), np.nan)
    centre = values[fit].mean()
    deviation = values[fit] - centre
    slope = (deviation @ (truth[fit] - truth[fit].mean())) / (deviation @ deviation)
    line: NDArray[np.float64] = truth[fit].mean() + slope * (values - centre)
    return line


def _codes(values: pa.ChunkedArray, learnt: NDArray[np.bool_], *, missing: bool) -> Ints:
    """A number for each value, or each interval of a number, int64 [rows]; -1 where there is none.

    With `missing` only 0 and 1: whether there is one.
    """
    if missing:
        return _filled(values).astype(np.int64)
    known = pa.chunked_array(values).combine_chunks().dictionary_encode()
    numeric = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
    if not numeric or len(known.dictionary) <= _INTERVALS:
        return np.asarray(known.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    numbers = _numbers(values)
    fit = numbers[learnt & np.isfinite(numbers)]
    if not len(fit):
        return np.full(len(numbers), -1, dtype=np.int64)
    edges = np.unique(np.quantile(fit, np.linspace(0, 1, _INTERVALS + 1)[1:-1]))
    return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers), -1).astype(np.int64)


def _numbers(values: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(values.cast(pa.float64()).to_numpy(), dtype=np.float64)


def _filled(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(values.is_valid().to_numpy(), dtype=np.bool_)
