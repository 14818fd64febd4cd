"""A file, or a folder of them, answered row by row into a table: memory is bounded, a half table is none."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakeloop.durable import fsync_directory, fsync_file
from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.inference.rows_of_files import Asked, Columns, files_of, pieces_of

SCORED = pa.schema(
    [
        ("source_file", pa.string()),
        ("row", pa.int64()),  # from 1, without a header
        ("key", pa.string()),  # what the loop file's source.key names; null where there is none
        ("answer", pa.string()),  # JSON, as the model server answers; null for a row that could not be asked
        ("fault", pa.string()),  # why it could not; null where it could
        ("model_version", pa.string()),
        ("model_digest", pa.string()),
    ]
)


@dataclass(frozen=True)
class Scored:
    """What came of it."""

    rows: int
    answered: int
    seconds: float
    first_fault: str
    """Of the first row that could not be asked, and where it is; empty where all could."""


def score(
    predictor: Predictor,
    source: Path,
    target: Path,
    columns: Columns,
    *,
    version: str,
    most: int | None = None,
    below: float = 0.0,
) -> Scored:
    """Answer each row of `source` and write the table `target`, a Parquet file that is not there yet.

    `most` cuts each answer to so many of its scores; answers less probable than `below` are held back.

    Raises:
        ConfigurationError: `target` is there, or its folder is not.
        DataError: a file of `source` cannot be read, or lacks a column; then there is no table.
    """
    _require_new(target)
    files = files_of(source)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    rows = answered = 0
    first_fault, began = "", time.perf_counter()
    try:
        with pq.ParquetWriter(partial, SCORED, compression="zstd") as writer:
            for file in files:
                for piece in pieces_of(file, columns, predictor.description.reads):
                    table = _answered(predictor, piece, file, version, most, below)
                    writer.write_table(table)
                    rows, answered = rows + len(piece), answered + table["fault"].null_count
                    wrong = next((asked for asked in piece if asked.fault), None)
                    if wrong and not first_fault:
                        first_fault = f"{file.name} row {wrong.number}: {wrong.fault}"
        fsync_file(partial)
        partial.replace(target)
        fsync_directory(target.parent)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    return Scored(rows, answered, time.perf_counter() - began, first_fault)


def _answered(
    predictor: Predictor, piece: list[Asked], file: Path, version: str, most: int | None, below: float
) -> pa.Table:
    asked = [each.instance for each in piece if each.instance is not None]
    given = iter(predictor.predict(asked))
    answers: list[str | None] = []
    for each in piece:
        answer = None if each.instance is None else next(given)
        if answer is not None and below:
            answer = answer.unless_unsure(below)
        if answer is not None and most is not None:
            answer = answer.cut(most)
        answers.append(None if answer is None else answer.model_dump_json())
    count = len(piece)
    return pa.table(
        {
            "source_file": [file.name] * count,
            "row": [each.number for each in piece],
            "key": [each.key for each in piece],
            "answer": answers,
            "fault": [each.fault or None for each in piece],
            "model_version": [version] * count,
            "model_digest": [predictor.digest] * count,
        },
        schema=SCORED,
    )


def _require_new(target: Path) -> None:
    if target.suffix != ".parquet" or target.exists() or not target.parent.is_dir():
        raise ConfigurationError(
            "the table cannot be written there",
            where=str(target),
            expected="a new file .parquet in a folder that is there",
            found="a file that is there" if target.exists() else "no such name or folder",
        )
