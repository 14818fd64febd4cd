"""A dbt project in a temporary folder, with the project's own macros and the two models of one loop."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeloop.lake.tables import raw_schema
from lakeloop.scratch.duckdb import open_duckdb
from lakeloop.spec.loop import LoopSpec
from lakeloop.transform.dbt import DATABASE_FILE
from lakeloop.transform.source import hand_over

ROOT = Path(__file__).resolve().parents[2]
DAY = "2026-11-16"

STAGING = "{{{{ staged_texts(source('{loop}', 'raw')) }}}}\n"
MART = "select * from {{{{ ref('stg_{loop}') }}}}\n"
_YML = """\
sources:
  - name: {loop}
    tables: [{{name: raw}}]
models:
  - name: stg_{loop}
    columns: &columns
      - {{name: row_id, data_type: varchar}}
      - {{name: text, data_type: varchar}}
      - {{name: label, data_type: varchar}}
      - {{name: text_key, data_type: varchar}}
      - {{name: event_time, data_type: timestamp with time zone}}
      - {{name: source_file, data_type: varchar}}
      - {{name: source_line, data_type: bigint}}
      - {{name: partition, data_type: varchar}}
  - name: mart_{loop}
    columns: *columns
    data_tests:
      - unique_together: {{arguments: {{columns: [source_file, source_line]}}}}
"""


def write_dbt_project(
    folder: Path, loop: str = "small", *, staging: str = STAGING, mart: str = MART, yml: str = _YML
) -> Path:
    """Make `folder` a dbt project for `loop`, with the project's own macros."""
    ignored = shutil.ignore_patterns("models", "target", "logs")
    shutil.copytree(ROOT / "dbt", folder, ignore=ignored, dirs_exist_ok=True)
    models = folder / "models" / loop
    for name, text in (
        (f"staging/stg_{loop}.sql", staging),
        (f"marts/mart_{loop}.sql", mart),
        (f"{loop}.yml", yml),
    ):
        path = models / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(loop=loop))
    return folder


def raw_table(loop: LoopSpec, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """`rows` (declared columns only) as ingest would have left them: lines counted from 1, one file."""
    added = {"row_hash": "h", "source_file": f"{DAY}.jsonl", "partition": DAY}
    return pa.Table.from_pylist(
        [{**added, "source_line": number, **row} for number, row in enumerate(rows, start=1)],
        raw_schema(loop),
    )


def raw_database(folder: Path, loop: LoopSpec, rows: Sequence[Mapping[str, Any]]) -> Path:
    """A DuckDB file with the source table of `loop`, as the stage hands it to dbt."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE_FILE
    with open_duckdb(database) as connection:
        hand_over(connection, loop, raw_table(loop, rows))
    return database
