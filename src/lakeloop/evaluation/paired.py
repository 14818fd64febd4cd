"""Two models row by row on the same rows: what changes decides whether one is better, not two scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.slices import Slice, slices_of
from lakeloop.evidence import Comparison, SliceChange
from lakeloop.measures.base import MetricSpec
from lakeloop.measures.paired import difference_of_shares, holm, mcnemar, paired_bootstrap

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task


def compare(
    leader: Judged,
    other: Judged,
    rows: pa.Table,
    task: Task,
    metric: MetricSpec,
    slices: Sequence[Slice],
    candidates: int = 1,
) -> Comparison:
    """The leader, the best of so many candidates, beside another model, both judged on `rows`."""
    truths = task.truths(rows)
    ours, theirs = (task.errors(model.answers, truths) for model in (leader, other))
    by_rightness = task.right_or_wrong or metric.of_right_rows
    change = np.sign((theirs > 0) * 1 - (ours > 0)) if by_rightness else np.sign(theirs - ours)
    gained, lost = int((change > 0).sum()), int((change < 0).sum())
    if metric.of_right_rows:
        test, found = "exact McNemar", difference_of_shares(gained, lost, rows.num_rows)
    else:
        test, found = "paired bootstrap", paired_bootstrap(metric, leader.outcomes, other.outcomes)
    return Comparison(
        candidate=leader.contender.name,
        other=other.contender.name,
        metric=metric.name,
        test=test,
        rows=rows.num_rows,
        gained=gained,
        lost=lost,
        candidates=candidates,
        slices=slice_changes(change, slices),
        **found._asdict(),
    )


def compare_all(
    leader: Judged, judged: Sequence[Judged], rows: pa.Table, task: Task, metric: MetricSpec
) -> tuple[Comparison, ...]:
    """The leader beside each registered version among the models; none where there is no row."""
    others = [model for model in judged if model.contender.version is not None]
    if not others or not rows.num_rows:
        return ()
    slices, candidates = slices_of(rows, task), len(judged) - len(others)
    return tuple(compare(leader, other, rows, task, metric, slices, candidates) for other in others)


def slice_changes(change: NDArray[Any], slices: Sequence[Slice]) -> tuple[SliceChange, ...]:
    """What changes in each slice, the largest loss first.

    `change` int [rows]: 1 where a row is better answered, -1 where it is worse answered. In a slice the two
    are compared by the exact sign test, which for right and wrong rows is McNemar's; the chances of all
    slices are corrected together (Holm).
    """
    inside = [change[each.within] for each in slices]
    counts = [(int((each > 0).sum()), int((each < 0).sum())) for each in inside]
    chances = holm([mcnemar(lost, gained) for gained, lost in counts])
    found = [
        SliceChange(name=part.name, rows=len(within), gained=gained, lost=lost, p_worse=chance)
        for part, within, (gained, lost), chance in zip(slices, inside, counts, chances, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: -each.loss))
