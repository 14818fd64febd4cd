from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lakeloop.spec.loop import LoopSpec
from tests.support.small_loop import MART

Judge = Callable[[LoopSpec, Sequence[dict[str, Any]]], dict[str, list[str]]]


def mart_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """`rows` with what they leave out filled in: good rows of `small`, each with its number as key."""
    filled = [
        {
            "row_id": str(number),
            "text": f"text {number}",
            "label": "tech",
            "text_key": f"k{number}",
            "event_time": None,
            "source_file": "drop.jsonl",
            "source_line": number,
            "partition": "2026-11-16",
            **row,
        }
        for number, row in enumerate(rows, start=1)
    ]
    return pa.Table.from_pylist(filled, MART)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def judged(connection: duckdb.DuckDBPyConnection) -> Judge:
    """Judge rows; source line (as text) of each bad row -> its reasons."""

    def judge_rows(loop: LoopSpec, rows: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
        from lakeloop.quality.rows import BAD, give_verdicts

        give_verdicts(connection, mart_table(rows), loop)
        found = connection.execute(
            f"select source_line, list_transform(reasons, lambda r: r.code) from {BAD} order by source_line"
        ).fetchall()
        return {str(line): codes for line, codes in found}

    return judge_rows
