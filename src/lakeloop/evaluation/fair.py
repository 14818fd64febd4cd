"""The test rows that are fair to all models: none that the champion was trained on.

Candidates never saw the test rows of their data set. A champion of an earlier data set may have, when `split`
changed since: it would answer them by heart, and better candidates would be refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.datasets.freeze import DatasetCard, folder_name_of, read_training_keys
from lakeloop.errors import DataError
from lakeloop.lake.digest import content_digest

if TYPE_CHECKING:
    from lakeloop.lake import LakeFiles
    from lakeloop.registry.history import ModelVersion


@dataclass(frozen=True)
class FairRows:
    """The rows that all models are asked."""

    table: pa.Table
    note: str = ""
    """For people: what was left out and why, or that it could not be found out; empty when all is well."""

    @cached_property
    def digest(self) -> str:
        return content_digest(self.table)


def fair_rows(files: LakeFiles, rows: pa.Table, card: DatasetCard, champion: ModelVersion | None) -> FairRows:
    """The `rows`, test rows of the data set `card`, without those that the champion was trained on.

    Raises:
        DataError: of a label, no row would be left.
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
    seen = pc.is_in(rows["text_key"].cast(pa.large_string()), value_set=keys)
    kept = rows.filter(pc.invert(seen))
    if kept.num_rows == rows.num_rows:
        return FairRows(rows)
    _require_each_label(rows, kept, champion)
    return FairRows(
        kept,
        f"{rows.num_rows - kept.num_rows} of {rows.num_rows} test rows were left out for all models:"
        f" the champion {champion.name} was trained on them, when split was another ({trained_on[:12]})",
    )


def _require_each_label(rows: pa.Table, kept: pa.Table, champion: ModelVersion) -> None:
    before, after = (Counter(table["label"].to_pylist()) for table in (rows, kept))
    if lost := sorted(label for label in before if not after[label]):
        raise DataError(
            f"the champion {champion.name} was trained on the test rows: too few are left to compare with it",
            where=f"data set {champion.card.dataset_digest[:12]} of the champion",
            expected="at least one test row of each label that it was not trained on",
            found=f"{kept.num_rows} of {rows.num_rows} rows left, none of {', '.join(lost)}",
            remedy="put split in the loop file back to what it was when the champion was trained,"
            " or publish more partitions; then make the data set and train again",
        )
