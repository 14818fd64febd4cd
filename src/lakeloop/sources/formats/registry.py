"""The formats of files: `source.format` of the loop file -> reader. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from lakeloop.sources.base import Block
from lakeloop.sources.formats.csv_lines import read_csv
from lakeloop.sources.formats.json_lines import read_json_lines
from lakeloop.spec.contract import SourceBase

Reader = Callable[[BinaryIO, str, SourceBase], Iterator[Block]]
"""Reads a file from its beginning to its end, once, given the open file, its name in errors, the source."""

FORMATS: dict[str, Reader] = {
    "jsonl": read_json_lines,
    "csv": read_csv,
}


def reader_of(source: SourceBase) -> Reader:
    """The reader of the format that `source` declares."""
    return FORMATS[source.format]
