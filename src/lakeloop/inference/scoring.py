"""Rows answered piece by piece into a table: bounded memory, each row counted, a half table is none."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakeloop.durable import fsync_directory, fsync_file
from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.inference.rows_of_files import Asked, Columns, files_of, pieces_of
from lakeloop.lake.tables import PLAIN, SCORED
from lakeloop.tasks.base import Answer

_FAULTS_SHOWN = 5


@dataclass
class Scored:
    """What came of it, so far."""

    rows: int = 0
    answered: int = 0
    abstained: int = 0
    """Answers that were held back, for the model was not sure enough."""
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    """Of the first rows that could not be asked: where each is, and why."""

    @property
    def first_fault(self) -> str:
        """Of the first row that could not be asked; empty where all could."""
        return self.faults[0] if self.faults else ""

    @property
    def asked(self) -> int:
        """Rows that the model read."""
        return self.answered + self.abstained

    @property
    def not_asked(self) -> int:
        """Rows that it could not be asked."""
        return self.rows - self.asked

    def sentence(self, by: str) -> str:
        """How many rows the version `by` answered and how many it did not, for people."""
        held = f", {self.abstained} held back as unsure" if self.abstained else ""
        return f"{self.answered} of {self.rows} rows answered by {by}{held}, {self.rate:,.0f} a second"

    @property
    def rate(self) -> float:
        """Rows a second that the model read."""
        return self.asked / max(self.seconds, 1e-9)

    def count(self, piece: Sequence[Asked], answers: Sequence[Answer | None]) -> None:
        """Account for the rows of one piece, and what each was answered; None: it could not be asked."""
        wrong = [asked for asked in piece if asked.fault]
        self.rows += len(piece)
        self.abstained += sum(answer is not None and not answer.given for answer in answers)
        self.answered += sum(answer is not None and answer.given for answer in answers)
        room = max(0, _FAULTS_SHOWN - len(self.faults))
        self.faults += [f"{Path(each.file).name}:{each.number}: {each.fault}" for each in wrong[:room]]


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
        given = _asked(predictor, piece, below)
        yield _batch(predictor, piece, given, version, most)
        done.count(piece, given)
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


def _asked(predictor: Predictor, piece: list[Asked], below: float) -> list[Answer | None]:
    """What each row of the piece is answered; None where it cannot be asked."""
    given = iter(predictor.predict([each.instance for each in piece if each.instance is not None]))
    answers = [None if each.instance is None else next(given) for each in piece]
    return [answer.unless_unsure(below) if answer is not None and below else answer for answer in answers]


def _batch(
    predictor: Predictor,
    piece: list[Asked],
    given: Sequence[Answer | None],
    version: str,
    most: int | None,
) -> pa.RecordBatch:
    cut = [answer if answer is None or most is None else answer.cut(most) for answer in given]
    plain = [{} if answer is None else answer.plain for answer in given]
    count = len(piece)
    return pa.RecordBatch.from_pydict(
        {
            "source_file": [each.file for each in piece],
            "row": [each.number for each in piece],
            "key": [each.key for each in piece],
            "answer": [None if answer is None else answer.model_dump_json() for answer in cut],
            "fault": [each.fault or None for each in piece],
            "model_version": [version] * count,
            "model_digest": [predictor.digest] * count,
            **{name: [each.get(name) for each in plain] for name in PLAIN.names},
        },
        schema=SCORED,
    )


def _require_new(target: Path) -> None:
    problem = remedy = ""
    if target.suffix != ".parquet":
        problem = "the answers are written as Parquet"
        remedy = f"name it {target.with_suffix('.parquet').name}; DuckDB, pandas and Spark make CSV of it"
    elif target.exists():
        problem, remedy = "there is a file already", "name another, or move it away: none is written over"
    elif not target.parent.is_dir():
        problem, remedy = "there is no such folder", f"make {target.parent}, or name another"
    if problem:
        raise ConfigurationError(
            problem, where=f"--to {target}", expected="a new file .parquet in a folder", remedy=remedy
        )
