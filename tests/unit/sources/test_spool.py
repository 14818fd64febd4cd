"""Rows that wait on the disk come back as they were; small batches are made larger ones."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from lakeloop.sources.spool import Spool, gathered

SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string())])


def batch(first: int, rows: int, text: str = "é") -> pa.RecordBatch:
    return pa.record_batch([list(range(first, first + rows)), [text] * rows], schema=SCHEMA)


def test_batches_come_back_in_their_order_and_the_file_has_no_name(tmp_path: Path) -> None:
    written = [batch(0, 3), batch(3, 0), batch(3, 2)]
    with Spool(SCHEMA, tmp_path) as spool:
        for rows in written:
            spool.append(rows)
        assert spool.rows == 5
        assert list(spool.batches()) == written
        assert list(tmp_path.iterdir()) == []


def test_a_spool_without_rows_has_no_batches(tmp_path: Path) -> None:
    with Spool(SCHEMA, tmp_path) as spool:
        assert list(spool.batches()) == []


def test_batches_are_gathered_by_rows_and_by_bytes() -> None:
    small = [batch(0, 2), batch(2, 0), batch(2, 2), batch(4, 2), batch(6, 1)]
    assert [rows.num_rows for rows in gathered(small, 5, 1000)] == [6, 1]
    assert [number for rows in gathered(small, 5, 1000) for number in rows["n"].to_pylist()] == list(range(7))
    long = [batch(number, 1, "x" * 600) for number in range(3)]
    assert [rows.num_rows for rows in gathered(long, 5, 1000)] == [2, 1]
