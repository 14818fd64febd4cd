"""A delivery read into memory: what ingest makes of it, without a lake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lakeloop.lake.tables import raw_schema
from lakeloop.sources.base import Delivery
from lakeloop.sources.intake import Intake, read_delivery
from lakeloop.spec.loop import LoopSpec


class InMemory:
    """Rows of raw that are kept as they come."""

    def __init__(self) -> None:
        self.rows = 0
        self._batches: list[pa.RecordBatch] = []

    def append(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)
        self.rows += batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._batches

    def table(self, loop: LoopSpec) -> pa.Table:
        return pa.Table.from_batches(self._batches, raw_schema(loop))


class Taken(NamedTuple):
    """An intake and its rows."""

    intake: Intake
    """Closed already."""
    raw: pa.Table
    quarantine: pa.Table


def taken(delivery: Delivery, loop: LoopSpec, day: str, folder: Path) -> Taken:
    """Read `delivery`; files that are needed meanwhile are in `folder`."""
    rows = InMemory()
    with read_delivery(delivery, loop, day, folder, rows) as intake:
        return Taken(intake, rows.table(loop), intake.quarantine().read_all())
