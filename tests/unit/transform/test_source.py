"""What dbt is handed: the roles of the loop file, whatever columns are called and however keys are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.lake.row_files import RowFiles
from lakeloop.spec.loop import LoopSpec
from lakeloop.transform.source import hand_over

RAW = pa.table(
    {
        "customer_text": ["hello", "bye"],
        "score": [1.0, 0.5],
        "row_hash": ["aa", "bb"],
        "source_file": ["drops/a.csv"] * 2,
        "source_line": [2, 5],
    }
)


def loop(**source: Any) -> LoopSpec:
    columns = {"Customer text": "string", "score": "number"}
    return LoopSpec.model_validate(
        {
            "name": "small",
            "source": {"kind": "files", "path": "{partition}", "columns": columns, **source},
            "task": {"kind": "classification", "text": "Customer text", "label": "score", "labels": [1, 0.5]},
        }
    )


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ({"key_from": "content"}, ["aa", "bb"]),
        ({"key_from": "line"}, ["drops/a.csv:2", "drops/a.csv:5"]),
        ({"key": "Customer text"}, ["hello", "bye"]),
    ],
)
def test_a_row_is_named_by_a_column_its_content_or_its_line(key: dict[str, str], keys: list[str]) -> None:
    with duckdb.connect() as connection:
        assert hand_over(connection, loop(**key), RAW) == 2
        rows = connection.sql("select lakeloop_key, lakeloop_text from small.raw").fetchall()
    assert rows == list(zip(keys, ["hello", "bye"], strict=True))


def test_rows_in_files_are_read_where_they_lie(tmp_path: Path) -> None:
    file = tmp_path / "raw.parquet"
    pq.write_table(RAW, file)
    files = RowFiles((str(file),), (*RAW.column_names, "partition"), {"partition": "2026-11-16"})
    with duckdb.connect() as connection:
        assert hand_over(connection, loop(key_from="line"), files) == 2
        rows = connection.sql('select lakeloop_text, "partition" from small.raw').fetchall()
    assert rows == [("hello", "2026-11-16"), ("bye", "2026-11-16")]


def test_numbers_that_are_answers_in_words_are_as_the_loop_file_has_them() -> None:
    spec = loop(key_from="line")
    with duckdb.connect() as connection:
        hand_over(connection, spec, RAW)
        words = [word for (word,) in connection.sql("select lakeloop_label from small.raw").fetchall()]
    assert words == list(spec.task.labels) == ["1", "0.5"]  # type: ignore[union-attr]


@pytest.mark.parametrize("key", [{}, {"key": "Customer text", "key_from": "line"}])
def test_a_loop_has_one_key(key: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"missing key|a second key"):
        loop(**key)
