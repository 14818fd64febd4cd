"""Files with rows for people to edit, and what they say when they come back: of the quarantine, or doubted.

A row says where it is from and why it is there, under names that begin with `quarantine.`, and has a field
for each declared column.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.spec.days import is_day
from lakeloop.spec.quoting import plain
from lakeloop.spec.reading.nearest import nearest
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.spec.contract import SourceBase

DAY, FILE, LINE = "quarantine.day", "quarantine.file", "quarantine.line"
DISCARD = "quarantine.discard"
REASON, DETAIL, RECORD = "quarantine.reason", "quarantine.detail", "quarantine.record"
DOUBTED = "answer_doubted"
"""Reason of a row that is published, and whose answer `lakeloop doubts` wrote for a person to look at."""
OURS = (DAY, FILE, LINE, DISCARD, REASON, DETAIL, RECORD)
_LONGEST_CELL = 64 << 20
"""Characters; records are kept whole."""
_YES, _NO = ("true", "yes", "x", "1"), ("", "false", "no", "0")


class Edit(NamedTuple):
    """What a person says of one row."""

    partition: str
    source_file: str
    source_line: int
    discard: bool
    fields: Mapping[str, Any]
    """JSON values, or texts, by declared field; those that are not named stay as they are."""
    at: int
    """Number of the row in the file that it came in, from 1."""
    doubted: bool = False
    """The row is published, see `DOUBTED`."""


def write_rows(rows: Iterable[Mapping[str, Any]], source: SourceBase, file: Path) -> int:
    """Write rows to edit to `file` (.jsonl or .csv); how many.

    Raises:
        ConfigurationError: another ending, a folder that is not there.
    """
    if file.suffix not in (".jsonl", ".csv") or not file.parent.is_dir():
        raise ConfigurationError(
            "cannot write there", where=str(file), expected="a .jsonl or .csv in a folder that is there"
        )
    found = list(rows)
    if file.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
        write_atomically(file, text)
        return len(found)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*OURS, *(column.found for column in source.fields)])
        writer.writeheader()
        writer.writerows({name: as_text(value) for name, value in row.items()} for row in found)
    return len(found)


def read_edits(context: StageContext, file: Path) -> list[Edit]:
    """The rows of a file that was written by `write_to_edit` and edited.

    Raises:
        ConfigurationError: no such file, a line that is no row, or a column that is not declared.
    """
    csv.field_size_limit(max(_LONGEST_CELL, csv.field_size_limit()))
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            found = list(csv.DictReader(stream) if file.suffix == ".csv" else _json_lines(stream, file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError("cannot read it", where=str(file), found=str(error)) from error
    names = [column.found for column in context.loop.source.fields]
    for number, row in enumerate(found, start=1):
        _require_names(row, names, f"{file}, row {number}")
    return [_edit(row, names, number, f"{file}, row {number}") for number, row in enumerate(found, start=1)]


def as_text(value: Any) -> str:
    """A value in a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json_lines(stream: Iterable[str], file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigurationError("no JSON", where=f"{file}, line {number}", found=str(error)) from error
        if not isinstance(row, dict):
            raise ConfigurationError("no row", where=f"{file}, line {number}", expected="an object")
        yield row


def _require_names(row: Mapping[Any, Any], names: Sequence[str], where: str) -> None:
    """Raises ConfigurationError when a row has other columns than those that it is to have."""
    known = (*OURS, *names)
    for name in row:
        if name not in known:
            close = nearest(str(name), known) if name is not None else ""
            raise ConfigurationError(
                "a column that is not declared" if name is not None else "more cells than the header has",
                where=where,
                expected=", ".join(names),
                found=plain(str(name)) if name is not None else "",
                remedy=f"is it {close}?" if close else "",
            )
    if lacking := [name for name in (DAY, FILE, LINE) if row.get(name) in (None, "")]:
        raise ConfigurationError("nobody knows which row it is", where=where, expected=", ".join(lacking))


def _edit(row: Mapping[str, Any], names: Sequence[str], number: int, where: str) -> Edit:
    discard, line = str(row.get(DISCARD) or "").strip().lower(), str(row[LINE]).strip()
    if discard not in (*_YES, *_NO) or not line.isdecimal() or not is_day(str(row[DAY])):
        raise ConfigurationError(
            "a value that means nothing",
            where=where,
            expected=f"{DAY} a day, {LINE} a number, {DISCARD} true or false",
            found=plain(f"{row[DAY]}, {line}, {discard}"),
        )
    fields = {name: row[name] for name in names if name in row}
    return Edit(
        str(row[DAY]), str(row[FILE]), int(line), discard in _YES, fields, number, row.get(REASON) == DOUBTED
    )
