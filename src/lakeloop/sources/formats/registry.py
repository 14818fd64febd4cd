"""The formats of files: `source.format` of the loop file -> reader. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lakeloop.sources.base import Block
from lakeloop.sources.formats.csv_rows import read_csv
from lakeloop.sources.formats.json_lines import read_json_lines
from lakeloop.sources.formats.parquet_rows import read_parquet
from lakeloop.spec.contract import SourceBase


@dataclass(frozen=True)
class Format:
    """How a file becomes blocks."""

    read: Callable[[BinaryIO, str, SourceBase], Iterator[Block]]
    """Reads a file once, given the open file, its name in errors, the source."""
    suffixes: tuple[str, ...]
    """How its files are usually called; asked for only where an archive has several."""
    seeks: bool = False
    """The file is not read from its beginning to its end."""


FORMATS: dict[str, Format] = {
    "jsonl": Format(read_json_lines, (".jsonl", ".ndjson", ".json")),
    "csv": Format(read_csv, (".csv", ".tsv", ".txt")),
    "parquet": Format(read_parquet, (".parquet", ".pq"), seeks=True),
}


def format_of(source: SourceBase) -> Format:
    """The format that `source` declares."""
    return FORMATS[source.format]
