"""Rows of the quarantine for people to edit, and what they made of them: corrections, or why they are none.

A row to edit says where it is from and why it was set aside, under names that begin with `quarantine.`, and
has a field for each declared column. What is taken back is looked at whole before anything is kept.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lakeloop.errors import LakeloopError
from lakeloop.lake.corrections import Correction, corrections_of
from lakeloop.quality.forecast import forecast
from lakeloop.quality.quarantine import Row, Wanted, rows
from lakeloop.records import now
from lakeloop.sources.base import Rereadable, found_again
from lakeloop.sources.corrected import as_json, fields_of, row_of
from lakeloop.sources.formats.blocks import BlockMaker
from lakeloop.sources.formats.csv_rows import grammar_of
from lakeloop.sources.registry import open_source
from lakeloop.sources.rejects import LineError
from lakeloop.spec.quoting import plain
from lakeloop.stages.frame.edit_files import (
    DAY,
    DETAIL,
    DISCARD,
    DOUBTED,
    FILE,
    LINE,
    REASON,
    RECORD,
    Edit,
    as_text,
    write_rows,
)
from lakeloop.stages.frame.session import StageContext
from lakeloop.transform.models import models_of

if TYPE_CHECKING:
    from lakeloop.spec.contract import SourceBase

Spot = tuple[str, int]
"""File and line of a record of a day."""
_ALL = 1_000_000_000


class Problem(NamedTuple):
    """Why an edited row is none."""

    at: int
    place: str
    reason: str


@dataclass
class Edits:
    """What a file of edited rows comes to."""

    corrections: list[Correction] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    untouched: int = 0
    """Rows that were left as they are."""
    known: int = 0
    """Rows whose correction was taken before."""


@dataclass(frozen=True)
class _Editable:
    """A row of the quarantine, and what a person may change of it."""

    row: Row
    fields: Mapping[str, Any]
    """By declared field; empty where nobody knows which part of the record is which."""
    before: str
    """See `Correction`."""


def write_to_edit(context: StageContext, wanted: Wanted, file: Path) -> int:
    """Write the rows that fit `wanted` to `file` (.jsonl or .csv); how many.

    Raises:
        ConfigurationError: another ending, a folder that is not there, a loop without tables.
    """
    source = context.loop.source
    return write_rows((to_edit(each, source) for each in _editable(context, wanted)), source, file)


def to_edit(each: _Editable, source: SourceBase) -> dict[str, Any]:
    """A row as a person edits it."""
    row = each.row
    shown = {REASON: row.reason, DETAIL: row.detail, RECORD: row.raw}
    place = {DAY: row.partition, FILE: row.source_file, LINE: row.source_line, DISCARD: False}
    return {**place, **shown, **{column.found: each.fields.get(column.found) for column in source.fields}}


def editable_row(context: StageContext, day: str, file: str, line: int) -> dict[str, Any] | None:
    """One row as a person edits it, each value as a cell has it; None when it is not in quarantine."""
    found = next(_editable(context, Wanted(partition=day), [(file, line)]), None)
    if found is None:
        return None
    return {name: as_text(value) for name, value in to_edit(found, context.loop.source).items()}


def look_at_edits(context: StageContext, edits: Sequence[Edit], why: str, by: str) -> Edits:
    """What `edits` come to, without keeping anything.

    A row that is not in quarantine, or that would be refused again, is a problem.
    """
    found, days = Edits(), defaultdict[str, list[Edit]](list)
    for edit in edits:
        days[edit.partition].append(edit)
    made: list[tuple[Edit, dict[str, Any], Correction]] = []
    for day in sorted(days):
        made += _look_at_day(context, day, days[day], found, (why, by))
    if models_of(context.settings.dbt, context.loop).generated:
        bad = forecast([row for _, row, _ in made], context.loop)
        for number, reasons in bad.items():
            edit = made[number][0]
            said = "; ".join(f"{reason['code']}: {reason['detail']}" for reason in reasons)
            found.problems.append(_problem(edit, said))
        made = [each for number, each in enumerate(made) if number not in bad]
    found.corrections += [correction for *_, correction in made]
    found.problems.sort()
    return found


def _look_at_day(
    context: StageContext, day: str, edits: Sequence[Edit], found: Edits, said: tuple[str, str]
) -> list[tuple[Edit, dict[str, Any], Correction]]:
    """The corrections that make rows, each with its row; discards and problems go into `found`."""
    lines = {(edit.source_file, edit.source_line) for edit in edits}
    editable = {
        (each.row.source_file, each.row.source_line or 0): each
        for each in _editable(context, Wanted(partition=day), lines)
    }
    ingested = context.lake.ledger.latest("ingest", day, "done")
    drop = ingested.inputs.get("drop", "") if ingested else ""
    # Of several at one place, that of the delivery that is there; else the newest.
    known = sorted(corrections_of(context.lake, day), key=lambda one: one.drop == drop)
    standing = {one.spot[1:]: one for one in known}
    doubted = {(edit.source_file, edit.source_line) for edit in edits if edit.doubted} - editable.keys()
    editable |= _published(context, day, doubted, standing)
    made = []
    for edit in edits:
        spot = edit.source_file, edit.source_line
        each, earlier = editable.get(spot), standing.get(spot)
        if each is None:
            if earlier and _says_the_same(context, edit, earlier):
                found.known += 1
            else:
                found.problems.append(_problem(edit, "is not in quarantine (any more)"))
            continue
        if not edit.discard and not _changes(edit, each):
            found.untouched += 1
            continue
        try:
            correction, row = _correction(context, edit, each, earlier, drop, said)
        except LineError as error:
            found.problems.append(_problem(edit, f"{error.reason}: {error.detail}"))
            continue
        if row is None:
            found.corrections.append(correction)
        else:
            made.append((edit, row, correction))
    return made


def _correction(
    context: StageContext,
    edit: Edit,
    each: _Editable,
    earlier: Correction | None,
    drop: str,
    said: tuple[str, str],
) -> tuple[Correction, dict[str, Any] | None]:
    """The correction that an edit is, and the row that it makes; None of a discard. Raises LineError."""
    source, row = context.loop.source, None
    if not edit.discard:
        changed = _changes(edit, each)
        kept = {name: value for name, value in each.fields.items() if name not in changed}
        empty = {column.stored: None for column in source.fields}
        typed = each.row.stage == "validate"
        row = {**empty, **row_of(kept, source, typed=typed), **row_of(changed, source, typed=False)}
        row = BlockMaker(source).checked(row)
    # What the delivery has is what was corrected first: of that, there is one correction after the other.
    again = earlier if each.row.readmitted else None
    stage = again.stage if again else "validate" if each.row.stage == "validate" else "ingest"
    why, by = said
    correction = Correction(
        partition=edit.partition,
        source_file=edit.source_file,
        source_line=edit.source_line,
        stage=stage,
        drop=drop,
        before=again.before if again else each.before,
        record=None if row is None else as_json(fields_of(row, source)),
        why=why,
        corrected_by=by,
        corrected_at=now(),
    )
    return correction, row


def _editable(
    context: StageContext, wanted: Wanted, lines: Iterable[tuple[str, int]] | None = None
) -> Iterator[_Editable]:
    """The rows that fit `wanted` and stand in a line; only those at `lines` (file and line) where given."""
    only = None if lines is None else set(lines)
    days: dict[str, list[Row]] = defaultdict(list)
    numbers = None if only is None else sorted({line for _, line in only})
    for row in rows(context.lake, wanted, limit=_ALL, lines=numbers):
        if row.source_line is not None and (only is None or (row.source_file, row.source_line) in only):
            days[row.partition].append(row)
    for day, found in days.items():
        read = as_read(context, day, {row.source_line for row in found if row.stage == "validate"})
        headers = _headers(context, day, found)
        for row in found:
            was = read.get((row.source_file, row.source_line or 0))
            if row.stage == "validate" and was is not None:
                yield _Editable(row, was, as_json(was))
            elif row.stage == "ingest":
                yield _Editable(row, _fields(context, row, headers.get(row.source_file)), row.raw)


def _published(
    context: StageContext, day: str, spots: Collection[Spot], standing: Mapping[Spot, Correction]
) -> dict[Spot, _Editable]:
    """Published rows whose answer was doubted, as rows that `validate` refused are edited."""
    found = as_read(context, day, {line for _, line in spots})
    rows = {
        spot: Row(
            partition=day,
            stage="validate",
            reason=DOUBTED,
            detail="",
            column=context.loop.task.target,
            source_file=spot[0],
            source_line=spot[1],
            byte_offset=None,
            raw=as_json(fields),
            raw_form="row",
            row_key=None,
            readmitted=spot in standing,
        )
        for spot, fields in found.items()
        if spot in spots
    }
    return {spot: _Editable(row, found[spot], row.raw) for spot, row in rows.items()}


def as_read(context: StageContext, day: str, lines: set[int | None]) -> dict[Spot, dict[str, Any]]:
    """The rows of raw at these lines, by declared field."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: dict[Spot, dict[str, Any]] = {}
    wanted = pa.array(sorted(filter(None, lines)), pa.int64())
    for batch in context.lake.scan("raw", partition=day) if len(wanted) else ():
        for row in batch.filter(pc.is_in(batch["source_line"], value_set=wanted)).to_pylist():
            found[row["source_file"], row["source_line"]] = fields_of(row, context.loop.source)
    return found


def _headers(context: StageContext, day: str, found: Sequence[Row]) -> dict[str, str]:
    """File -> the header of its CSV, where rows of it are text and the delivery is there as it was."""
    source = context.loop.source
    files = {row.source_file for row in found if row.stage == "ingest" and row.raw_form == "line"}
    ingested = context.lake.ledger.latest("ingest", day, "done")
    headers: dict[str, str] = {}
    if source.format != "csv" or not files or ingested is None:
        return headers
    with suppress(LakeloopError, OSError):
        drop = ingested.inputs.get("drop", "")
        delivery = found_again(open_source(context.loop, context.settings), day, drop)
        if isinstance(delivery, Rereadable):
            for file, record in delivery.records_at(dict.fromkeys(files, (1,))):
                headers[file] = record.raw
    return headers


def _fields(context: StageContext, row: Row, header: str | None) -> dict[str, Any]:
    """What a record that ingest refused says of the declared columns, as far as that can be told."""
    source = context.loop.source
    said: Any = None
    if row.raw_form == "line" and source.format == "csv":
        grammar = grammar_of(source)
        names, values = grammar.split(header or ""), grammar.split(row.raw)
        if header and names and values and len(names) == len(values):
            said = dict(zip(names, values, strict=True))
    else:
        with suppress(ValueError, RecursionError):
            said = json.loads(row.raw)
    declared = {column.found for column in source.fields}
    fields = said.items() if isinstance(said, dict) else ()
    return {name: value for name, value in fields if name in declared}


def _changes(edit: Edit, each: _Editable) -> dict[str, Any]:
    """What is another value in an edit; all of it, where nothing is known of the record."""
    return {
        name: None if value == "" and _is_text_or_none(each.fields.get(name)) else value
        for name, value in edit.fields.items()
        if value != each.fields.get(name) and as_text(value) != as_text(each.fields.get(name))
    }


def _says_the_same(context: StageContext, edit: Edit, earlier: Correction) -> bool:
    """Whether an edit was taken before, as `earlier`."""
    if edit.discard or earlier.record is None:
        return edit.discard and earlier.record is None
    try:
        typed = fields_of(row_of(_given(edit.fields), context.loop.source, typed=False), context.loop.source)
    except LineError:
        return False
    return all(earlier.fields.get(name) == value for name, value in typed.items())


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _is_text_or_none(value: Any) -> bool:
    return value is None or not isinstance(value, dict | list)


def _problem(edit: Edit, reason: str) -> Problem:
    place = f"{edit.partition}, {plain(edit.source_file, 200)}, line {edit.source_line}"
    return Problem(edit.at, place, plain(reason, 500))
