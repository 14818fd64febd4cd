"""Records that ingest refused of a delivery that is gone: read again as quarantine has them.

One that the loop file reads now becomes a correction: it says that the record is to be read as this row, and
is kept whatever is run later. A line of CSV means nothing without the header of its file, and a record that
was cut, or whose bytes were no text, is not there whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lakeloop.lake.corrections import Correction
from lakeloop.quality.forecast import forecast
from lakeloop.quality.quarantine import Row, Wanted, rows
from lakeloop.records import StageRecord, now
from lakeloop.sources.corrected import as_json, fields_of, row_of
from lakeloop.sources.formats.blocks import BlockMaker
from lakeloop.sources.formats.json_lines import JsonLines
from lakeloop.sources.rejects import LineError, Reason
from lakeloop.spec.contract import SourceBase
from lakeloop.stages.frame.session import StageContext

GONE = "its drop is gone"
"""Why a record stays that nobody can read without its delivery."""
WHY = "the loop file reads it since it was changed; the drop was gone"
_NOT_WHOLE = (Reason.LINE_TOO_LONG, Reason.BAD_UTF8, Reason.BAD_ENCODING)
_ALL = 1_000_000_000
Where = tuple[str, int | None]
"""File and line."""


def read_records(
    context: StageContext, ingested: StageRecord, wanted: set[Where]
) -> tuple[list[Correction], dict[Where, str]]:
    """Of the refused records `wanted` of a day: corrections of those that are read now, and why others stay.

    Which of the rows a check refuses is foreseen as if the models were generated.
    """
    made: list[tuple[dict[str, Any], Correction]] = []
    stay: dict[Where, str] = dict.fromkeys(wanted, GONE)
    read = _reader(context.loop.source)
    for record in rows(context.lake, Wanted(ingested.partition, "ingest"), limit=_ALL):
        where = record.source_file, record.source_line
        if where not in wanted or record.source_line is None:
            continue
        if record.readmitted:
            stay[where] = record.reason
            continue
        try:
            row = read(record)
        except LineError as error:
            stay[where] = str(error.reason)
        else:
            if row is not None:
                made.append((row, _correction(context, ingested, record, row)))
    bad = forecast([row for row, _ in made], context.loop)
    for number, (_, correction) in enumerate(made):
        stay.pop(correction.spot[1:])
        if number in bad:
            stay[correction.spot[1:]] = bad[number][0]["code"]
    return [correction for number, (_, correction) in enumerate(made) if number not in bad], stay


def _reader(source: SourceBase) -> Callable[[Row], dict[str, Any] | None]:
    """Reads a record; None where nobody can without its delivery. What it returns raises LineError."""
    lines, maker = JsonLines(source), BlockMaker(source)
    declared = {column.found for column in source.fields}

    def read(record: Row) -> dict[str, Any] | None:
        if record.reason in _NOT_WHOLE:
            return None
        if record.raw_form == "line":
            return maker.row(lines, record.raw.encode()) if source.format == "jsonl" else None
        fields = json.loads(record.raw)
        if source.undeclared == "refuse" and (extra := sorted(fields.keys() - declared)):
            raise LineError(Reason.EXTRA_FIELD, f"not declared: {', '.join(extra)}", extra[0])
        empty = {column.stored: None for column in source.fields}
        return maker.checked({**empty, **row_of(fields, source, typed=False)})

    return read


def _correction(context: StageContext, ingested: StageRecord, record: Row, row: dict[str, Any]) -> Correction:
    return Correction(
        partition=record.partition,
        source_file=record.source_file,
        source_line=record.source_line or 0,
        stage="ingest",
        drop=ingested.inputs.get("drop", ""),
        before=record.raw,
        record=as_json(fields_of(row, context.loop.source)),
        why=WHY,
        corrected_by="",
        corrected_at=now(),
    )
