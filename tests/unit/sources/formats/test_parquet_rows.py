"""Parquet: casts that lose nothing, rows that do not fit rejected one by one, bounded batches."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.durable import sha256_file
from lakeloop.errors import DataError
from lakeloop.sources.base import Block
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.formats import parquet_rows
from lakeloop.sources.formats.lines import MAX_LINE_BYTES
from lakeloop.sources.formats.parquet_rows import read_parquet
from lakeloop.sources.rejects import Reason
from lakeloop.spec.source import FilesSource

COLUMNS: dict[str, Any] = {
    "id": "string", "n": "integer", "x": "number", "ok": "boolean", "at": "timestamp", "day": "date",
}  # fmt: skip
SOURCE = FilesSource(kind="files", path="{partition}", key="id", columns=COLUMNS, format="parquet")


def written(table: pa.Table, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    file.seek(0)
    return file


def blocks(columns: dict[str, pa.Array | list[Any]], **options: Any) -> list[Block]:
    return list(read_parquet(written(pa.table(columns), **options), "drop", SOURCE))


def one(name: str, values: pa.Array) -> tuple[list[Any], list[int]]:
    """The values of a column that became rows, and the numbers of the rows that were rejected."""
    (block,) = blocks({"id": [f"k{n}" for n in range(len(values))], name: values})
    assert {bad.reason for bad in block.rejects} <= {Reason.WRONG_TYPE, Reason.BAD_UTF8}
    return block.rows[name].to_pylist(), [bad.line for bad in block.rejects]


MOMENT = datetime(2026, 11, 16, 8, 30, 0, 123456, UTC)
MIDNIGHT = datetime(2026, 11, 16, tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("name", "values", "fitting", "rejected"),
    [
        ("n", pa.array([1, None, -5], pa.int8()), [1, None, -5], []),
        ("n", pa.array([1, 2**63], pa.uint64()), [1], [2]),
        ("n", pa.array([1.0, 1.5, float("nan"), 1e300]), [1], [2, 3, 4]),
        ("n", pa.array([Decimal("3.00"), Decimal("3.50")]), [3], [2]),
        ("n", pa.array(["7", "x"]), [7], [2]),
        ("n", pa.array([True, None]), [None], [1]),
        ("n", pa.array([[1], None]), [None], [1]),
        ("x", pa.array([1, 2**53 + 1]), [1.0], [2]),
        ("x", pa.array([0.5, float("inf")], pa.float32()), [0.5], [2]),
        ("ok", pa.array([True, False]), [True, False], []),
        ("ok", pa.array([1, 0]), [], [1, 2]),
        ("at", pa.array([MOMENT], pa.timestamp("us", "UTC")), [MOMENT], []),
        ("at", pa.array([MOMENT], pa.timestamp("us", "Asia/Tokyo")), [MOMENT], []),
        ("at", pa.array([MOMENT.replace(tzinfo=None)], pa.timestamp("us")), [MOMENT], []),
        ("at", pa.array([1_763_281_800_123_456_789], pa.timestamp("ns")).cast(pa.timestamp("ns", "UTC")),
         [datetime(2025, 11, 16, 8, 30, 0, 123456, UTC)], []),
        ("at", pa.array([2**60, 0], pa.timestamp("ms")), [datetime(1970, 1, 1, tzinfo=UTC)], [1]),
        ("at", pa.array([date(2026, 11, 16)]), [datetime(2026, 11, 16, tzinfo=UTC)], []),
        ("at", pa.array(["2026-11-16T09:30:00.123456+01:00", "soon"]), [MOMENT], [2]),
        ("day", pa.array([date(2026, 11, 16)], pa.date64()), [date(2026, 11, 16)], []),
        ("day", pa.array([MIDNIGHT, MOMENT.replace(tzinfo=None)]), [date(2026, 11, 16)], [2]),
        ("day", pa.array([date(2026, 11, 16)]).dictionary_encode(), [date(2026, 11, 16)], []),
    ],
)  # fmt: skip
def test_what_loses_nothing_is_cast_and_the_rest_is_rejected_row_by_row(
    name: str, values: pa.Array, fitting: list[Any], rejected: list[int]
) -> None:
    assert one(name, values) == (fitting, rejected)


def test_keys_may_be_text_bytes_or_numbers(tmp_path: Path) -> None:
    for keys in (
        pa.array(["1", "2"]),
        pa.array([1, 2]),
        pa.array([b"1", b"2"]),
        pa.array(["1", "2"], pa.large_string()),
    ):
        (block,) = blocks({"id": keys})
        assert block.rows["id"].to_pylist() == ["1", "2"]
    (block,) = blocks({"id": pa.array([b"1", b"\xff"])})
    assert [(bad.line, bad.reason) for bad in block.rejects] == [(2, Reason.BAD_UTF8)]


def test_a_rejected_row_is_kept_whole_as_json() -> None:
    (block,) = blocks(
        {"id": ["a", "b"], "n": [1.0, 1.5], "more": [["x"], [None]], "at": [MOMENT, MOMENT]},
    )
    (bad,) = block.rejects
    assert (bad.line, bad.reason, bad.column, bad.row_key) == (2, Reason.WRONG_TYPE, "n", "b")
    assert bad.detail == "n: expected integer, found double 1.5"
    assert json.loads(bad.raw) == {"id": "b", "n": 1.5, "more": [None], "at": str(MOMENT)}
    assert block.rows["source_line"].to_pylist() == [1]


def test_what_no_row_may_have_is_rejected() -> None:
    long = "x" * (MAX_LINE_BYTES + 1)
    (block,) = blocks({"id": ["a", "", None, "b\0", long]})
    assert [(bad.line, bad.reason) for bad in block.rejects] == [
        (2, Reason.NULL_KEY), (3, Reason.NULL_KEY), (4, Reason.NUL_BYTE), (5, Reason.LINE_TOO_LONG),
    ]  # fmt: skip
    assert len(block.rejects[-1].raw) == MAX_LINE_BYTES


def test_rows_are_numbered_over_row_groups_and_large_ones_come_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = {"id": [f"k{n}" for n in range(1000)], "n": list(range(1000))}
    found = blocks(table, row_group_size=300)
    numbers = [number for block in found for number in block.rows["source_line"].to_pylist()]
    assert numbers == list(range(1, 1001))
    monkeypatch.setattr(parquet_rows, "_BATCH_BYTES", 1 << 10)
    assert max(block.read for block in blocks(table, compression="none")) < 200


def test_columns_that_are_not_there_are_null() -> None:
    (block,) = blocks({"id": ["a"]})
    assert block.rows.drop_columns(["id", "source_line"]).to_pylist() == [dict.fromkeys([*COLUMNS][1:])]


@pytest.mark.parametrize("names", [["n"], ["id", "id"]])
def test_a_file_without_the_key_or_with_a_name_twice_is_refused(names: list[str]) -> None:
    table = pa.Table.from_arrays([pa.array(["1"]) for _ in names], names)
    with pytest.raises(DataError, match="not those that the loop file declares"):
        list(read_parquet(written(table), "drop", SOURCE))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_is_cut_off_is_refused(share: float) -> None:
    content = written(pa.table({"id": ["a", "b"]})).getvalue()
    with pytest.raises(DataError, match="not a Parquet file, or a damaged one"):
        list(read_parquet(io.BytesIO(content[: int(len(content) * share)]), "drop", SOURCE))


@pytest.mark.parametrize("packed", [None, "gzip", "zstd"])
def test_a_file_is_read_plain_or_packed_and_hashed_as_it_lies_there(
    tmp_path: Path, packed: str | None
) -> None:
    content = written(pa.table({"id": ["a", "b"]})).getvalue()
    path = tmp_path / "drop"
    if packed:
        with pa.CompressedOutputStream(str(path), packed) as file:
            file.write(content)
    else:
        path.write_bytes(content)
    delivery = FileDelivery(path, sha256_file(path), "drop", SOURCE)
    assert [row for block in delivery.blocks() for row in block.rows["id"].to_pylist()] == ["a", "b"]
    delivery.require_unchanged()


def with_columns(columns: dict[str, Any], **keys: Any) -> FilesSource:
    fields = {"kind": "files", "path": "{partition}", "key": "id", "format": "parquet", **keys}
    return FilesSource.model_validate({**fields, "columns": {"id": "string", **columns}})


def test_columns_have_the_names_formats_and_zones_of_the_loop_file() -> None:
    source = with_columns(
        {
            "Moment": {"type": "timestamp", "from": "When, local", "zone": "America/New_York"},
            "seconds": {"type": "timestamp", "format": "epoch_s"},
            "american": {"type": "timestamp", "format": "%m/%d/%Y %H:%M"},
        }
    )
    noon = datetime(2026, 3, 8, 12, tzinfo=UTC).replace(tzinfo=None)
    gap = noon.replace(hour=2, minute=30)  # summer time begins: there is no such moment
    table = pa.table(
        {
            "id": ["a", "b"],
            "When, local": [noon, gap],
            "seconds": [0, 1],
            "american": ["03/08/2026 12:00", "x"],
        }
    )
    (block,) = read_parquet(written(table), "drop", source)
    assert [(bad.line, bad.column) for bad in block.rejects] == [(2, "american")]
    (row,) = block.rows.select([1, 2, 3]).to_pylist()
    assert list(row.values()) == [
        datetime(2026, 3, 8, 16, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 12, tzinfo=UTC),
    ]
    (block,) = read_parquet(written(table.drop_columns(["american"])), "drop", source)
    assert block.rows.column(1).to_pylist()[1] == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_undeclared_columns_are_counted_kept_or_refused() -> None:
    table = pa.table({"id": ["a", "b", None], "more": [[1], None, [2]], "other": pa.nulls(3)})

    def read(undeclared: str) -> Block:
        source = with_columns({"n": "integer"}, undeclared=undeclared)
        (block,) = read_parquet(written(table), "drop", source)
        return block

    assert read("ignore").undeclared == {"more": 1}
    assert read("keep").rows["undeclared_fields"].to_pylist() == ['{"more": [1]}', None]
    with pytest.raises(DataError, match="not those that the loop file declares"):
        read("refuse")
