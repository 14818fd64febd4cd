"""Rows as the files that hold them: those and no others, or none at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import Schema as DeltaSchema

from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.store import Lake
from tests.support.small_loop import MART
from tests.unit.lake.test_store import DAY, OTHER_DAY, publish


def test_the_files_of_a_day_hold_its_rows_and_no_others(lake: Lake) -> None:
    version = publish(lake).version
    publish(lake, OTHER_DAY)
    publish(lake, count=1)
    files = lake.row_files("mart", version=version, partition=DAY)
    assert files is not None
    assert (files.columns, files.partition) == (tuple(MART.names), {"partition": DAY})
    found = pa.concat_tables(pq.ParquetFile(path).read() for path in files.paths)
    assert found == lake.read("mart", version=version, partition=DAY).drop_columns(["partition"])


def test_rows_are_not_taken_from_files_that_do_not_say_all_of_them(lake: Lake) -> None:
    assert lake.row_files("mart", partition=DAY) is None, "there are none"
    publish(lake)
    assert lake.row_files("mart") is None, "of all days"
    store = DeltaStore(str(Path(lake.uri("mart")).parent))
    later = DeltaSchema.from_arrow(pa.schema([("later", pa.string())])).fields
    store.open("mart").alter.add_columns(later)
    assert lake.row_files("mart", partition=DAY) is None, "a column is not in the files"
