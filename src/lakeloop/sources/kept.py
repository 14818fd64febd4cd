"""A delivery that is gone, as far as the lake has it: the rows that were read of it, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby, pairwise
from typing import Any, cast

import numpy as np
import pyarrow as pa

from lakeloop.errors import CountsError
from lakeloop.records import Counts
from lakeloop.sources.base import Block, row_schema
from lakeloop.sources.rejects import Reason, Reject
from lakeloop.spec.contract import SourceBase

Batches = Callable[[], Iterable[pa.RecordBatch]]
"""Reads rows of a table once more."""
_REJECTS_AT_ONCE = 2048


class KeptDelivery:
    """What the lake has of the delivery of one day; see `Delivery`.

    Args:
        partition: the day.
        identity: of the delivery.
        where: its rows lie.
        source: declares the columns.
        counts: what ingest recorded of it.
        raw: its rows, as table `raw` has them.
        refused: its records that ingest refused, as table `quarantine` has them, by file and line.
    """

    def __init__(
        self,
        partition: str,
        identity: str,
        where: str,
        source: SourceBase,
        counts: Counts,
        raw: Batches,
        refused: Batches,
    ) -> None:
        self.name = f"what the lake has of {partition}"
        self.identity = identity
        self.where = where
        self.left_out = counts.duplicates
        """Records that were equal to one before: nothing is left of them but their number."""
        self._schema = row_schema(source)
        self._expected = counts.read
        self._raw = raw
        self._refused = refused
        self._read = 0

    def blocks(self) -> Iterator[Block]:
        """The rows, then the refused records."""
        self._read = self.left_out
        for block in (*self._rows(), *self._rejects()):
            self._read += block.read
            yield block

    def require_unchanged(self) -> None:
        """Prove that each record is there that was in the delivery.

        Raises:
            CountsError: one is missing, or there twice.
        """
        if self._read != self._expected:
            raise CountsError(
                "the lake does not have all records of the delivery",
                where=self.where,
                expected=f"{self._expected} records, as ingest recorded",
                found=f"{self._read} records",
                remedy="nothing was published; put the delivery back, and ingest the day again",
            )

    def _rows(self) -> Iterator[Block]:
        for batch in self._raw():
            files = batch["source_file"].to_numpy(zero_copy_only=False)
            edges = [0, *(np.flatnonzero(files[1:] != files[:-1]) + 1).tolist(), len(files)]
            for first, behind in pairwise(edges):
                if behind > first:
                    part = batch.slice(first, behind - first)
                    rows = pa.RecordBatch.from_arrays(
                        [part[name] for name in self._schema.names], schema=self._schema
                    )
                    yield Block(rows, (), part.num_rows, file=str(files[first]))

    def _rejects(self) -> Iterator[Block]:
        nothing = pa.RecordBatch.from_pylist([], self._schema)
        for batch in self._refused():
            for start in range(0, batch.num_rows, _REJECTS_AT_ONCE):
                rows = batch.slice(start, _REJECTS_AT_ONCE).to_pylist()
                for file, of_file in groupby(rows, key=lambda row: str(row["source_file"])):
                    rejects = tuple(map(_reject, of_file))
                    yield Block(nothing, rejects, len(rejects), file=file)


def _reject(row: Mapping[str, Any]) -> Reject:
    return Reject(
        row["source_line"] or 0,
        row["byte_offset"] or 0,
        cast("Reason", row["reason"]),  # also one of an earlier version
        row["detail"] or "",
        row["raw"] or "",
        row["column"],
        row["row_key"],
        "row" if row["raw_form"] == "row" else "line",
        bool(row["readmitted"]),
    )
