"""What tasks with labels have in common: labels that are not known any more, and scores label by label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from lakeloop.errors import DataError
from lakeloop.measures.intervals import wilson
from lakeloop.tasks.base import Grid, OutputContract

if TYPE_CHECKING:
    import pyarrow as pa


def require_known_labels(
    rows: pa.Table, target: str, labels_of: Callable[[Any], Iterable[str]], known: Sequence[str], loop: str
) -> None:
    """Published `rows` must have no label that is not `known`; `labels_of` are those of a value of `target`.

    Raises:
        DataError: some do not; says which days to validate again.
    """
    counts: Counter[str] = Counter()
    days: set[str] = set()
    for row in rows.select([target, "partition"]).to_pylist():
        if strange := [label for label in labels_of(row[target]) if label not in known]:
            counts.update(map(str, strange))
            days.add(row["partition"])
    if counts:
        raise DataError(
            "published rows have labels that the task does not have",
            where=f"{loop} mart, {len(days)} day(s), {min(days)}..{max(days)}",
            expected=f"task.labels: {', '.join(known)}",
            found=", ".join(f"{label} in {count} rows" for label, count in sorted(counts.items())),
            remedy=f"validate these days again (lakeloop validate {loop} --partition {min(days)}),"
            " or put the label back into task.labels",
        )


def best_scores(scores: Mapping[str, float], most: int, named: Iterable[str]) -> dict[str, float]:
    """The `most` probable of the labels, and those that are `named`, the most probable first."""
    ranked = sorted(scores, key=lambda label: -scores[label])
    kept = {*ranked[:most], *named}
    return {label: scores[label] for label in ranked if label in kept}


def label_facts(contract: OutputContract, labels: Iterable[str]) -> dict[str, JsonValue]:
    """What the model server says of a model with these labels."""
    found: dict[str, JsonValue] = {"labels": list(labels)}
    return {**found, "unlearnt": list(contract.unlearnt)} if contract.unlearnt else found


def label_grid(labels: Sequence[str], right: NDArray[Any], rows: NDArray[Any], claimed: NDArray[Any]) -> Grid:
    """Precision, recall and F1 of each label with intervals, the worst first.

    Of each label int [labels]: answers that are `right`, `rows` that have it, answers where it is `claimed`.
    """
    there = rows + claimed
    f1 = np.where(there > 0, 2 * right / np.maximum(there, 1), np.inf)
    return Grid(
        title="Labels",
        columns=("label", *SHARES, "F1", "rows", "answers"),
        rows=tuple(
            (
                labels[number],
                *share_of(right[number], claimed[number]),
                *share_of(right[number], rows[number]),
                float(f1[number]) if there[number] else None,
                int(rows[number]),
                int(claimed[number]),
            )
            for number in np.argsort(f1, kind="stable").tolist()
        ),
        compared="F1",
        note="Precision: of the answers with this label, the share that is right; none where it is never"
        " answered. Recall: of the rows with this label, the share that is found; none where no row has it."
        " From and to are the ends of their intervals of 95 %. F1 is their harmonic mean; the worst first.",
    )


SHARES = ("precision", "precision from", "precision to", "recall", "recall from", "recall to")
"""Columns of two numbers of `share_of`."""


def share_of(right: int, of: int) -> tuple[float, float, float] | tuple[None, None, None]:
    """A share with the ends of its interval of 95 %; three times None where there is nothing to be right."""
    return (float(right / of), *wilson(int(right), int(of))) if of else (None, None, None)
