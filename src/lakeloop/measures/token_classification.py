"""Metrics of stretches that are found in texts, each of one kind.

Outcomes: `truth` and `answer` are arrays of objects [rows]: the stretches of a row, each a tuple of its first
character, the one behind its last, and its kind; `outputs` is not used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lakeloop.measures.base import Draws, MetricSpec, Outcomes
from lakeloop.measures.draws import sums_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stretch = tuple[int, int, str]


def entity_f1(found: Outcomes) -> float:
    """Strict F1 over all stretches: place and kind must be right; 1 where none is there and none is found.

    As conlleval has it (Tjong Kim Sang and De Meulder 2003).
    """
    right, there, claimed = _counts(found)
    return _f1(sum(right.values()), there.total(), claimed.total())


def entity_macro_f1(found: Outcomes) -> float:
    """Mean of the strict F1 of each kind that occurs in the rows or in the answers."""
    right, there, claimed = _counts(found)
    kinds = {*there, *claimed}
    return sum(_f1(right[kind], there[kind], claimed[kind]) for kind in kinds) / len(kinds) if kinds else 1.0


def partial_f1(found: Outcomes) -> float:
    """F1 in which a stretch of another place that overlaps a right one of its kind counts half.

    Measure "type" of MUC-5 (Chinchor and Sundheim 1993) weighs the same cases as whole ones.
    """
    credit, there, claimed = 0.0, 0, 0
    for truth, answer in _rows(found):
        there, claimed = there + len(truth), claimed + len(answer)
        credit += _credit(truth, answer)
    return _f1(credit, there, claimed)


def _credit(truth: set[Stretch], answer: set[Stretch]) -> float:
    exact = truth & answer
    credit, left = float(len(exact)), truth - exact
    for start, end, kind in sorted(answer - exact):
        match = next((s for s in sorted(left) if s[2] == kind and s[0] < end and start < s[1]), None)
        if match is not None:
            left.discard(match)
            credit += 0.5
    return credit


def precision(found: Outcomes) -> float:
    """Share of the stretches that were answered that are right; 0 where none was answered."""
    right, _, claimed = _counts(found)
    return right.total() / claimed.total() if claimed else 0.0


def recall(found: Outcomes) -> float:
    """Share of the right stretches that were found; 0 where there is none."""
    right, there, _ = _counts(found)
    return right.total() / there.total() if there else 0.0


def _rows(found: Outcomes) -> Iterator[tuple[set[Stretch], set[Stretch]]]:
    for truth, answer in zip(found.truth, found.answer, strict=True):
        yield set(truth), set(answer)


def _counts(found: Outcomes) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By kind: stretches that are right, that are there, that were answered."""
    right, there, claimed = Counter[str](), Counter[str](), Counter[str]()
    for truth, answer in _rows(found):
        right.update(kind for *_, kind in truth & answer)
        there.update(kind for *_, kind in truth)
        claimed.update(kind for *_, kind in answer)
    return right, there, claimed


def _f1(right: float, there: int, claimed: int) -> float:
    return 2 * right / (there + claimed) if there + claimed else 1.0


def _by_kind(found: Outcomes) -> NDArray[Any]:
    """Of each row, for each kind: stretches right, there, answered. Float32 [rows, 3 n]."""
    import numpy as np

    rows = list(_rows(found))
    kinds = sorted({kind for row in rows for side in row for *_, kind in side}) or [""]
    place = {kind: number for number, kind in enumerate(kinds)}
    table = np.zeros((len(rows), 3, len(kinds)), dtype=np.float32)
    for number, (truth, answer) in enumerate(rows):
        for part, stretches in enumerate((truth & answer, truth, answer)):
            for *_, kind in stretches:
                table[number, part, place[kind]] += 1
    return table.reshape(len(rows), -1)


def _partial_parts(found: Outcomes) -> NDArray[Any]:
    """Of each row: credit, stretches there, answered. Float64 [rows, 3]."""
    import numpy as np

    return np.array([(_credit(truth, answer), len(truth), len(answer)) for truth, answer in _rows(found)])


def _totals(sums: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    right, there, claimed = sums.reshape(len(sums), 3, -1).sum(axis=2).T
    return right, there, claimed


def _share(part: NDArray[Any], whole: NDArray[Any], of_none: float) -> NDArray[Any]:
    import numpy as np

    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), of_none)


def _entity_f1(sums: NDArray[Any]) -> NDArray[Any]:
    right, there, claimed = _totals(sums)
    return _share(2 * right, there + claimed, 1.0)


def _entity_macro_f1(sums: NDArray[Any]) -> NDArray[Any]:
    right, there, claimed = sums.reshape(len(sums), 3, -1).transpose(1, 0, 2)
    known = there + claimed > 0
    return _share(_share(2 * right, there + claimed, 0.0).sum(axis=1), known.sum(axis=1), 1.0)


def _precision(sums: NDArray[Any]) -> NDArray[Any]:
    right, _, claimed = _totals(sums)
    return _share(right, claimed, 0.0)


def _recall(sums: NDArray[Any]) -> NDArray[Any]:
    right, there, _ = _totals(sums)
    return _share(right, there, 0.0)


_OF_KINDS = sums_of(_by_kind)
TOKEN_CLASSIFICATION = (
    MetricSpec("entity_f1", "entity F1", entity_f1, bar=0.3, draws=Draws(_OF_KINDS, _entity_f1)),
    MetricSpec(
        "entity_macro_f1", "entity macro F1", entity_macro_f1, draws=Draws(_OF_KINDS, _entity_macro_f1)
    ),
    MetricSpec(
        "partial_f1", "partial entity F1", partial_f1, draws=Draws(sums_of(_partial_parts), _entity_f1)
    ),
    MetricSpec("precision", "entity precision", precision, draws=Draws(_OF_KINDS, _precision)),
    MetricSpec("recall", "entity recall", recall, draws=Draws(_OF_KINDS, _recall)),
)
