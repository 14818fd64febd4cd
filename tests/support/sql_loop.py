"""A loop that reads a database, and its days through the real stage `ingest`."""

from __future__ import annotations

from typing import Any

from lakeloop.sources.base import Delivery
from lakeloop.spec.loop import LoopSpec
from tests.support.small_loop import small_loop

COLUMNS: dict[str, Any] = {"id": "string", "text": "string", "label": "string", "at": "timestamp"}


def sql_loop(zone: str = "UTC", **source: Any) -> LoopSpec:
    """The small loop with a source `sql`: table `tickets` of `data.db`, by column `at`."""
    place = {"sqlite": "data.db"} if not source.keys() & {"sqlite", "connection"} else {}
    what = {"table": "tickets"} if "query" not in source else {}
    usual = {"kind": "sql", "key": "id", "columns": COLUMNS, "partition_by": "at"}
    return small_loop(source={**usual, **place, **what, **source}, schedule={"timezone": zone})


def read(delivery: Delivery | None) -> tuple[list[dict[str, Any]], list[tuple[str, str | None, str]]]:
    """The rows of a delivery, and reason, column and record of its rejects."""
    assert delivery is not None
    rows, rejects = [], []
    for block in delivery.blocks():
        rows += block.rows.to_pylist()
        rejects += [(str(each.reason), each.column, each.raw) for each in block.rejects]
    delivery.require_unchanged()
    return rows, rejects
