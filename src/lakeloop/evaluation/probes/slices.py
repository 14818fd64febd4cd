"""Where the model is worse than elsewhere: by column, answer, length and script, and by two of them together.

Every slice is looked at, so the chance that one is worse by accident is corrected for all of them (Holm).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.evaluation.slices import FEWEST_ROWS, Slice, asked_for, slices_of
from lakeloop.measures.intervals import drawn_weights, wilson
from lakeloop.measures.paired import SIGNIFICANCE, holm
from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

_SHOWN = 15
_PAIRED = 120
"""Slices that are put together by twos, the largest: their pairs are half the square of that."""


class Slices:
    """The probe of parts of the rows: those that the loop file names, and those that are worst."""

    def titles(self, task: str) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        errors = task.errors(model.answers, task.truths(rows))
        right_or_wrong = task.right_or_wrong
        values = (errors > 0).astype(np.float64) if right_or_wrong else errors
        what = "wrong" if right_or_wrong else f"mean {task.error}"
        slices = slices_of(rows, task)
        tables = [_named(asked, values, what, right_or_wrong) for asked in [asked_for(slices)] if asked]
        if slices:
            tables.append(_worst(slices, values, what, right_or_wrong))
        return Finding(tables=tuple(tables))


def _named(slices: Sequence[Slice], values: NDArray[Any], what: str, right_or_wrong: bool) -> Grid:
    rows = []
    for part in slices:
        inside = values[part.within]
        ends = wilson(int(inside.sum()), len(inside)) if right_or_wrong else _of_mean(inside)
        rows.append((part.name, len(inside), float(inside.mean()), *ends))
    return Grid(
        title="Slices",
        columns=("slice", "rows", what, "from", "to"),
        rows=tuple(rows),
        compared=what,
        note="By the columns of `evaluate.slices`. From and to are the ends of the interval of 95 %.",
        of_rows=True,
    )


def _of_mean(values: NDArray[Any]) -> tuple[float, float]:
    drawn = np.concatenate([weights @ values for weights in drawn_weights(len(values))]) / len(values)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _worst(slices: Sequence[Slice], values: NDArray[Any], what: str, right_or_wrong: bool) -> Grid:
    found = Compared(slices, values, right_or_wrong)
    worse = [each for each in found.parts if each.chance <= SIGNIFICANCE]
    alone = {each.name: each.mean for each in worse if len(each.of) == 1}
    # Two together say more than each alone only where they are worse than either.
    telling = [
        each
        for each in worse
        if len(each.of) == 1 or all(each.mean > alone.get(name, 0.0) for name in each.of)
    ]
    telling.sort(key=lambda each: (each.chance, -each.mean, each.name))
    said = (
        "none is"
        if not telling
        else "these are"
        if len(telling) <= _SHOWN
        else "the surest are here, which are"
    )
    return Grid(
        title="Worst slices",
        columns=("slice", "rows", what, f"{what}, other rows", "chance"),
        rows=tuple((e.name, e.rows, e.mean, e.others, e.chance) for e in telling[:_SHOWN]),
        note=f"Of {len(found.parts)} slices of {FEWEST_ROWS} rows or more, by one column or two, {said} worse"
        f" than the other rows by more than chance: a chance of at most {SIGNIFICANCE:g}, corrected for their"
        " number (Holm).",
        of_rows=True,
    )


@dataclass(frozen=True)
class Part:
    """One slice beside the other rows."""

    of: tuple[str, ...]
    """The slices that it is the common part of."""
    rows: int
    mean: float
    others: float
    chance: float
    """Of such a mean, or a worse one, by accident; corrected for the number of slices."""

    @property
    def name(self) -> str:
        return ", ".join(self.of)


@dataclass(frozen=True)
class Compared:
    """Every slice, and every two of different columns, against the other rows.

    Wrong rows by Fisher's exact test on one side, sizes of errors by the rank sum (Wilcoxon 1945), both
    without drawing anything.
    """

    slices: Sequence[Slice]
    values: NDArray[Any]
    """Float64 [rows]: 0 and 1, or sizes of errors; more is worse."""
    right_or_wrong: bool

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(self._parts())

    def _parts(self) -> Iterator[Part]:
        names, numbers = zip(*((of, sums) for of, *sums in self._sums()), strict=True)
        sizes, totals, ranked = np.array(numbers, dtype=np.float64).T
        means, others = totals / sizes, (self.values.sum() - totals) / (len(self.values) - sizes)
        chances = holm(self._chances(sizes, totals, ranked).tolist())
        for place, chance in enumerate(chances):
            yield Part(names[place], int(sizes[place]), float(means[place]), float(others[place]), chance)

    def _sums(self) -> Iterator[tuple[tuple[str, ...], int, float, float]]:
        """Of each slice and each pair: rows, sum of the values, sum of the ranks."""
        largest = sorted(self.slices, key=lambda part: -int(part.within.sum()))[:_PAIRED]
        within = np.array([part.within for part in largest], dtype=np.float64)
        tables = [(within * row) @ within.T for row in (np.ones(len(self.values)), self.values, self._ranks)]
        for part in self.slices:
            inside = part.within
            yield (
                (part.name,),
                int(inside.sum()),
                float(self.values[inside].sum()),
                float(self._ranks[inside].sum()),
            )
        for one, other in zip(*np.triu_indices(len(largest), 1), strict=True):
            size = int(tables[0][one, other])
            smaller = size < min(tables[0][one, one], tables[0][other, other])
            if largest[one].column != largest[other].column and smaller and size >= FEWEST_ROWS:
                names = tuple(sorted((largest[one].name, largest[other].name)))
                yield names, size, float(tables[1][one, other]), float(tables[2][one, other])

    @cached_property
    def _ranks(self) -> NDArray[Any]:
        from scipy.stats import rankdata

        ranks: NDArray[Any] = rankdata(self.values)
        return ranks

    @cached_property
    def _ties(self) -> float:
        counts = np.unique(self.values, return_counts=True)[1].astype(np.float64)
        return float((counts**3 - counts).sum())

    def _chances(self, sizes: NDArray[Any], totals: NDArray[Any], ranked: NDArray[Any]) -> NDArray[Any]:
        from scipy.stats import hypergeom, norm

        rows = len(self.values)
        if self.right_or_wrong:
            return np.asarray(hypergeom.sf(np.rint(totals) - 1, rows, round(self.values.sum()), sizes))
        spread = sizes * (rows - sizes) / 12 * (rows + 1 - self._ties / (rows * (rows - 1)))
        above = ranked - sizes * (rows + 1) / 2 - 0.5
        return np.where(spread > 0, norm.sf(above / np.sqrt(np.where(spread > 0, spread, 1.0))), 1.0)
