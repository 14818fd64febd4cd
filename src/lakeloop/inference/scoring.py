"""Rows answered piece by piece into a table: bounded memory, each row counted, a half table is none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakeloop.durable import fsync_directory, fsync_file
from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.inference.rows_of_files import Asked, Columns, files_of, pieces_of
from lakeloop.lake.tables import SCORED

_FAULTS_SHOWN = 5


@dataclass
class Scored:
    """What came of it, so far."""

    rows: int = 0
    answered: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    """Of the first rows that could not be asked: where each is, and why."""

    @property
    def first_fault(self) -> str:
        """Of the first row that could not be asked; empty where all could."""
        return self.faults[0] if self.faults else ""

    def count(self, piece: list[Asked]) -> None:
        """Account for the rows of one piece."""
        wrong = [asked for asked in piece if asked.fault]
        self.rows, self.answered = self.rows + len(piece), self.answered + len(piece) - len(wrong)
        room = max(0, _FAULTS_SHOWN - len(self.faults))
        self.faults += [f"{Path(each.file).name} row {each.number}: {each.fault}" for each in wrong[:room]]


def answers(
    predictor: Predictor,
    pieces: Iterable[list[Asked]],
    done: Scored,
    *,
    version: str,
    most: int | None,
    below: float = 0.0,
) -> Iterator[pa.RecordBatch]:
    """Rows with the columns of `SCORED`, a batch for each piece, counted in `done`.

    `version` is what the model is called, `most` cuts each answer to so many of its scores; answers less
    probable than `below` are held back.
    """
    began = time.perf_counter()
    for piece in pieces:
        yield _answered(predictor, piece, version, most, below)
        done.count(piece)
        done.seconds = time.perf_counter() - began


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
    files, done = files_of(source), Scored()
    reads = predictor.description.reads
    pieces = (piece for file in files for piece in pieces_of(file, columns, reads, named=file.name))
    with new_table(target, SCORED) as writer:
        for batch in answers(predictor, pieces, done, version=version, most=most, below=below):
            writer.write_batch(batch)
    return done


@contextmanager
def new_table(target: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """A Parquet file that is written in the block and there, whole and durable, when the block ends.

    One that is there is replaced; when the block fails nothing changes.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
            yield writer
        fsync_file(partial)
        partial.replace(target)
        fsync_directory(target.parent)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _answered(
    predictor: Predictor, piece: list[Asked], version: str, most: int | None, below: float
) -> pa.RecordBatch:
    asked = [each.instance for each in piece if each.instance is not None]
    given = iter(predictor.predict(asked))
    texts: list[str | None] = []
    for each in piece:
        answer = None if each.instance is None else next(given)
        if answer is not None and below:
            answer = answer.unless_unsure(below)
        if answer is not None and most is not None:
            answer = answer.cut(most)
        texts.append(None if answer is None else answer.model_dump_json())
    count = len(piece)
    return pa.RecordBatch.from_pydict(
        {
            "source_file": [each.file for each in piece],
            "row": [each.number for each in piece],
            "key": [each.key for each in piece],
            "answer": texts,
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
