"""A row with a column of each type that a table of the lake can have."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("s", pa.string()),
        ("n", pa.int64()),
        ("x", pa.float64()),
        ("b", pa.bool_()),
        ("t", pa.timestamp("us", "UTC")),
        ("d", pa.date32()),
    ]
)
ROW = {
    "s": "é",
    "n": -1,
    "x": 0.1,
    "b": True,
    "t": datetime(2026, 11, 20, tzinfo=UTC),
    "d": date(2026, 11, 20),
}
