"""The test rows that are fair to all models: none that the champion was trained on.

Candidates never saw the test rows of their data set. A champion of an earlier data set may have seen some,
when `split` changed since: it would answer these by heart, and better candidates would be refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.datasets.freeze import DatasetCard, folder_name_of, read_training_keys
from lakeloop.errors import DataError
from lakeloop.lake.digest import content_digest

if TYPE_CHECKING:
    from lakeloop.lake.files import LakeFiles
    from lakeloop.registry.history import ModelVersion
    from lakeloop.tasks.base import Task


@dataclass(frozen=True)
class FairRows:
    """The rows that all models are asked."""

    table: pa.Table
    note: str = ""
    """For people: what was left out and why, or that it could not be found out; empty when all is well."""

    @cached_property
    def digest(self) -> str:
        return content_digest(self.table)


def fair_rows(
    files: LakeFiles, rows: pa.Table, card: DatasetCard, champion: ModelVersion | None, task: Task
) -> FairRows:
    """The `rows`, test rows of the data set `card`, without those that the champion was trained on.

    Raises:
        DataError: too few rows would be left to compare models by, as the task sees it.
        ArtifactError: the champion's data set is not the one that was stored.
    """
    if champion is None or (trained_on := champion.card.dataset_digest) == card.digest:
        return FairRows(rows)
    keys = read_training_keys(files, folder_name_of(trained_on))
    if keys is None:
        return FairRows(
            rows,
            f"the champion {champion.name} may have been trained on some of them:"
            f" its data set {trained_on[:12]} is not in the lake any more",
        )
    kept = rows.filter(pc.invert(_seen(rows, keys)))
    if kept.num_rows == rows.num_rows:
        return FairRows(rows)
    _require_comparable(rows, kept, champion, task)
    return FairRows(
        kept,
        f"{rows.num_rows - kept.num_rows} of {rows.num_rows} test rows were left out for all models:"
        f" the champion {champion.name} was trained on them, when split was another ({trained_on[:12]})",
    )


def known_rows(files: LakeFiles, rows: pa.Table, dataset_digest: str) -> int:
    """How many of `rows` have a text that a model of this data set was trained on; 0 where the set is gone.

    Raises:
        ArtifactError: the data set is not the one that was stored.
    """
    keys = read_training_keys(files, folder_name_of(dataset_digest))
    return 0 if keys is None else int(pc.sum(_seen(rows, keys)).as_py() or 0)


def _seen(rows: pa.Table, keys: pa.Array) -> pa.ChunkedArray:
    return pc.is_in(rows["text_key"].cast(pa.large_string()), value_set=keys)


def _require_comparable(rows: pa.Table, kept: pa.Table, champion: ModelVersion, task: Task) -> None:
    before, after = (task.truths(table) for table in (rows, kept))
    if missing := task.require_comparable(before, after):
        raise DataError(
            f"the champion {champion.name} was trained on the test rows: too few are left to compare with it",
            where=f"data set {champion.card.dataset_digest[:12]} of the champion",
            expected="test rows that it was not trained on, of all that the test rows have",
            found=f"{kept.num_rows} of {rows.num_rows} rows left; missing: {missing}",
            remedy="put split in the loop file back to what it was when the champion was trained,"
            " or publish more partitions; then make the data set and train again",
        )
