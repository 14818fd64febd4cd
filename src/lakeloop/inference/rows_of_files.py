"""Rows of files outside the lake as a model is asked for them: Parquet, CSV, JSON lines, piece by piece.

Rows of a table of the lake are `rows_of_lake`.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from lakeloop.errors import DataError
from lakeloop.spec.tasks.base import TaskBase
from lakeloop.tasks.reading import Instance, Reading

PIECE = 4096
"""Rows that are in memory at a time, by which they are sorted by length for the network, too."""
SUFFIXES = (".parquet", ".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
Row = Mapping[str, Any]


class Columns(NamedTuple):
    """Which columns of a file a model reads, as the loop file calls them."""

    key: str
    """Empty where rows have none."""
    text: str
    text_pair: str
    """Empty where the model reads one text."""
    features: tuple[str, ...]

    @classmethod
    def of(cls, task: TaskBase, key: str | None) -> Columns:
        pair = getattr(task, "text_pair", None)
        return cls(key or "", task.text, pair or "", tuple(each.name for each in task.features))

    @property
    def needed(self) -> tuple[str, ...]:
        return tuple(name for name in (self.text, self.text_pair, *self.features) if name)


class Asked(NamedTuple):
    """One row of a file."""

    file: str
    """What the file is called."""
    number: int
    """The line of the file where it begins, from 1, a header counted; in Parquet the row. As in `raw`."""
    key: str | None
    instance: Instance | None
    """None for a row that the model cannot be asked."""
    fault: str
    """Why not; empty where it can."""


def files_of(path: Path) -> list[Path]:
    """The file, or those of a folder that can be read, by name.

    Raises:
        DataError: there is none.
    """
    found = sorted(each for each in path.iterdir() if suffix_of(each)) if path.is_dir() else [path]
    if not found or not all(map(Path.is_file, found)):
        raise DataError(
            "there is no file to score",
            where=str(path),
            expected=f"a file, or a folder of files, {', '.join(SUFFIXES)}",
            found="a folder without one" if path.is_dir() else "nothing",
        )
    return found


def pieces_of(path: Path, columns: Columns, reads: Reading, named: str) -> Iterator[list[Asked]]:
    """The rows of one file, `PIECE` at a time; they say that the file is called `named`.

    Raises:
        DataError: the file is none that can be read, or lacks a column that the model reads.
    """
    rows = _rows(path, columns)
    while piece := list(itertools.islice(rows, PIECE)):
        yield [as_asked(row, columns, reads, named, number) for number, row in piece]


def as_asked(row: Row | str, columns: Columns, reads: Reading, file: str, number: int) -> Asked:
    """One row by column, or what is wrong with it, as the model is asked for it."""
    if isinstance(row, str):
        return Asked(file, number, None, None, row)
    key = row.get(columns.key) if columns.key else None
    named = None if key is None else str(key)
    text, pair = row.get(columns.text), row.get(columns.text_pair) if columns.text_pair else None
    if not isinstance(text, str) or not text.strip():
        return Asked(file, number, named, None, f"{columns.text}: expected a text, found {text!r:.50}")
    numbers = {name for name, numeric in _kinds(reads).items() if numeric}
    try:
        features = {name: _value(row.get(name), name in numbers) for name in columns.features}
    except ValueError as error:
        return Asked(file, number, named, None, str(error))
    instance = Instance(text, None if pair is None else str(pair), features)
    faults = [f"{name}: expected {wanted}, found {found}" for name, wanted, found in reads.faults(instance)]
    return Asked(file, number, named, None if faults else instance, "; ".join(faults))


def _kinds(reads: Reading) -> dict[str, bool]:
    from lakeloop.tasks.features import NumericFeature

    return {feature.name: isinstance(feature, NumericFeature) for feature in reads.features}


def _value(value: Any, numeric: bool) -> float | str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) and not numeric:
        return str(value).lower()  # as the mart has it
    return float(value) if numeric else str(value)


def _rows(path: Path, columns: Columns) -> Iterator[tuple[int, Row | str]]:
    """The number of each row, and the row by column, or what is wrong with it."""
    match suffix_of(path).removesuffix(".gz"):
        case ".parquet":
            yield from enumerate(_of_parquet(path, columns), start=1)
        case ".csv":
            yield from _of_csv(path, columns)
        case ".jsonl":
            yield from _of_json_lines(path)
        case _:
            raise DataError(
                "files of this kind are not scored",
                where=str(path),
                expected=", ".join(SUFFIXES),
                found=path.suffix or "no suffix",
            )


def _of_parquet(path: Path, columns: Columns) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
        _require(path, columns, file.schema_arrow.names)
        wanted = [name for name in (columns.key, *columns.needed) if name in file.schema_arrow.names]
        for batch in file.iter_batches(PIECE, columns=wanted):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise DataError("the file cannot be read", where=str(path), found=str(error)) from error


def _of_csv(path: Path, columns: Columns) -> Iterator[tuple[int, Row | str]]:
    with _opened(path) as file:
        reader = csv.reader(file)
        names = next(reader, [])
        _require(path, columns, names)
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(names):
                yield line, dict(zip(names, cells, strict=True))
            elif cells:
                yield line, f"expected {len(names)} cells, found {len(cells)}"
            line = reader.line_num + 1  # a cell may have several lines


def _of_json_lines(path: Path) -> Iterator[tuple[int, Row | str]]:
    with _opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                yield number, f"not JSON: {error}"
                continue
            yield number, row if isinstance(row, dict) else f"expected an object, found {line.strip():.50}"


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The text of a file. Raises DataError where it is no UTF-8 or no whole gzip."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, csv.Error) as error:
        raise DataError("the file cannot be read", where=str(path), found=str(error)) from error


def _require(path: Path, columns: Columns, there: Any) -> None:
    if lacking := [name for name in columns.needed if name not in there]:
        raise DataError(
            "the file lacks columns that the model reads",
            where=str(path),
            expected=", ".join(columns.needed),
            found=", ".join(map(str, there)) or "no column",
            remedy=f"give it {', '.join(lacking)}, called as in the loop file",
        )


def suffix_of(path: Path) -> str:
    return next((each for each in SUFFIXES if path.name.endswith(each)), "")
