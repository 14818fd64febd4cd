"""How differently a model treats groups of rows: for each column of `evaluate.slices`, the gaps between them.

Demographic parity and equalised odds of Hardt et al. (2016), over all answers: the largest difference
between two groups in how often an answer is given, and in how often where it is right and where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.evaluation.slices import Slice, asked_for, slices_of
from lakeloop.measures.intervals import RESAMPLES, drawn_weights, percentiles
from lakeloop.measures.registry import CERTAINTIES, FAIRNESS, FAIRNESS_GAP, ODDS_GAP, SELECTION_GAP
from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from lakeloop.evaluation.judge import Judged
    from lakeloop.measures.base import Outcomes
    from lakeloop.tasks.base import Task

    Floats = NDArray[Any]

FEWEST_OF_ANSWER = 10
"""Rows of a group that have an answer, or have not, of fewer of which a rate says nothing."""
_MOST_GROUPS = 20
"""Of a column, the largest."""
_WORK = 4_000_000_000
"""Products of weights that are summed at most for a column: a second of a CPU or two."""
_FEWEST_DRAWS = 200


class Fairness:
    """The probe of gaps between groups; it finds nothing where no column has two groups with enough rows."""

    def titles(self, task: str) -> Mapping[str, str]:
        return {each.name: each.title for each in FAIRNESS} if task in CERTAINTIES else {}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        if task.kind not in CERTAINTIES:
            return Finding()
        right = (task.errors(model.answers, task.truths(rows)) == 0).astype(np.float64)
        names = task.contract(task.profile([])).names
        found = [
            gap
            for groups in _by_column(asked_for(slices_of(rows, task)))
            for gap in Groups(groups, model.outcomes, right, names).gaps()
        ]
        if not found:
            return Finding()
        worst: dict[str, Gap] = {}
        for gap in sorted(found, key=lambda gap: gap.size):
            worst[gap.name] = gap
        return Finding(
            {name: gap.size for name, gap in worst.items()},
            {name: gap.ends for name, gap in worst.items() if gap.ends},
            tables=(_grid(found),),
        )


def _by_column(slices: Sequence[Slice]) -> Iterator[list[Slice]]:
    for _, parts in groupby(slices, key=lambda part: part.column):
        groups = sorted(parts, key=lambda part: -int(part.within.sum()))[:_MOST_GROUPS]
        if len(groups) > 1:
            yield groups


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups of one column, in one respect."""

    name: str
    column: str
    size: float
    ends: tuple[float, float] | None
    where: str
    """Which groups these are, with their rates, and of which answer."""


@dataclass(frozen=True)
class Groups:
    """The groups of one column, and what was answered in each."""

    slices: Sequence[Slice]
    outcomes: Outcomes
    right: Floats
    """float64 [rows]: 1 where the answer is right."""
    names: Sequence[str]
    """Of the answers."""

    def gaps(self) -> Iterator[Gap]:
        """Each gap that there are rows for."""
        whole = self._rates(np.ones((1, len(self.right))) @ self._cells)
        work = max(1, self._cells.nnz)
        draws = int(np.clip(_WORK // work, _FEWEST_DRAWS, RESAMPLES))
        drawn: dict[str, list[Floats]] = {spec.name: [] for spec in FAIRNESS}
        for weights in drawn_weights(len(self.right), draws):
            for name, rates in self._rates(np.asarray(weights @ self._cells)).items():
                drawn[name].append(_largest(rates))
        for name, rates in whole.items():
            size = float(_largest(rates)[0])
            if np.isfinite(size):
                ends = percentiles(np.concatenate(drawn[name]), size, 0.0, 1.0)
                yield Gap(name, self._column, size, ends, self._where(name, rates[0]))

    @property
    def _column(self) -> str:
        return self.slices[0].column.partition(" ")[2]

    @cached_property
    def _cells(self) -> csr_array:
        """Sparse float64 [rows, n], whose sums over rows are the counts that all rates are made of.

        A row is in one group and has few answers, so that few of its numbers are not 0.
        """
        from scipy.sparse import csr_array, hstack

        within = csr_array(np.array([part.within for part in self.slices], dtype=np.float64).T)
        truth, answer = (
            csr_array(_indicators(values, self.outcomes.outputs.shape[1]))
            for values in (self.outcomes.truth, self.outcomes.answer)
        )
        by_answer = [
            within[:, [group]].multiply(values)
            for values in (answer, truth, answer * truth)
            for group in range(len(self.slices))
        ]
        return csr_array(hstack([within, within.multiply(self.right[:, None]), *by_answer], format="csr"))

    def _rates(self, sums: Floats) -> dict[str, Floats]:
        """Name of a gap -> the rates that it is between, float64 [draws, groups, n]; NaN of too few rows."""
        groups = len(self.slices)
        rows, right = sums[:, :groups, None], sums[:, groups : 2 * groups, None]
        answered, true, hits = (
            part.reshape(len(sums), groups, -1) for part in np.split(sums[:, 2 * groups :], 3, axis=1)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.where(self._enough[0], hits / true, np.nan)
            wrongly = np.where(self._enough[1], (answered - hits) / (rows - true), np.nan)
            return {
                FAIRNESS_GAP.name: right / rows,
                SELECTION_GAP.name: answered / rows,
                ODDS_GAP.name: np.concatenate([found, wrongly], axis=2),
            }

    @cached_property
    def _enough(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Bool [groups, answers]: whether a group has enough rows with the answer, and enough without."""
        truth = _indicators(self.outcomes.truth, self.outcomes.outputs.shape[1])
        counts = np.array([truth[part.within].sum(axis=0) for part in self.slices])
        rows = np.array([[part.within.sum()] for part in self.slices])
        return counts >= FEWEST_OF_ANSWER, rows - counts >= FEWEST_OF_ANSWER

    def _where(self, name: str, rates: Floats) -> str:
        """The two groups of the largest gap, of rates [groups, n]."""
        spread = _spread(rates[None])[0]
        at = int(np.nanargmax(spread))
        most, least = int(np.nanargmax(rates[:, at])), int(np.nanargmin(rates[:, at]))
        groups = ", ".join(f"{self.slices[number].name} {rates[number, at]:.3f}" for number in (most, least))
        if name == FAIRNESS_GAP.name:
            return groups
        name_of = self.names[at % len(self.names)]
        if name == SELECTION_GAP.name:
            return f"answer {name_of}: {groups}"
        where = "where it is right" if at < rates.shape[1] // 2 else "where it is not"
        return f"answer {name_of} {where}: {groups}"


def _indicators(values: NDArray[Any], classes: int) -> Floats:
    """float64 [rows, classes] of numbers of classes, or of what is that already; -1 is none of them."""
    if values.ndim > 1:
        return values.astype(np.float64)
    found: Floats = (values[:, None] == np.arange(classes)).astype(np.float64)
    return found


def _spread(rates: Floats) -> Floats:
    """[draws, n]: the largest difference between groups; NaN where fewer than two have a rate."""
    known = np.isfinite(rates)
    most = np.where(known, rates, -np.inf).max(axis=1)
    least = np.where(known, rates, np.inf).min(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(known.sum(axis=1) > 1, most - least, np.nan)


def _largest(rates: Floats) -> Floats:
    """[draws]: the largest of the differences; NaN where there is none."""
    spread = _spread(rates)
    known = np.isfinite(spread)
    found = np.where(known, spread, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), found, np.nan)


def _grid(gaps: Sequence[Gap]) -> Grid:
    titles = {spec.name: spec.title for spec in FAIRNESS}
    return Grid(
        title="Fairness",
        columns=("gap", "size", "from", "to", "between"),
        rows=tuple(
            (f"{gap.column}: {titles[gap.name]}", gap.size, *(gap.ends or (None, None)), gap.where)
            for gap in gaps
        ),
        compared="size",
        note="The largest difference between two groups of a column of `evaluate.slices`: in the share of"
        " right answers; in how often an answer is given (demographic parity); in how often it is given where"
        " it is right, or where it is not (equalised odds; of groups with ten such rows). From and to are the"
        " ends of the interval of 95 %. A gap says that groups are treated differently, not why.",
        of_rows=True,
    )
