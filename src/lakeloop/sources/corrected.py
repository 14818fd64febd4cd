"""A delivery whose records people mended: what they made of a record is read in its place.

A corrected record goes the way of all: it becomes a row, or is refused with a reason. A correction counts for
the delivery that it was made for, and for any other that has the same record at the same place. Of several at
one place, of one delivery after the other, the newest counts that is of the record that is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.lake.corrections import Correction
from lakeloop.lake.tables import UNDECLARED
from lakeloop.sources.base import Block, Delivery
from lakeloop.sources.formats.blocks import BlockMaker
from lakeloop.sources.recast import one as recast
from lakeloop.sources.rejects import EmptyLines, LineError, Reason, Reject
from lakeloop.sources.values import Value, parse, require_finite, require_int64
from lakeloop.spec.columns import Column, Moments
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.quoting import plain

_Row = dict[str, Any]
"""As `row_schema` has it."""
_Here = dict[int, list[Correction]]
"""Line of a file -> the corrections of records that stood there, the newest last."""


class CorrectedDelivery:
    """`delivery` with `corrections` in it, those of its day that count; see `Delivery`."""

    def __init__(self, delivery: Delivery, corrections: Sequence[Correction], source: SourceBase) -> None:
        self.name = delivery.name
        self.identity = delivery.identity
        self.where = delivery.where
        self.corrections = len(corrections)
        self.applied = 0
        """Corrections whose record was there."""
        self._delivery = delivery
        self._source = source
        self._maker = BlockMaker(source)
        self._files: dict[str, _Here] = {}
        for each in corrections:
            self._files.setdefault(each.source_file, {}).setdefault(each.source_line, []).append(each)

    def blocks(self) -> Iterator[Block]:
        """The records, those that were corrected as they are now."""
        self.applied = 0
        for block in self._delivery.blocks():
            here = self._files.get(block.file or self.name)
            yield self._corrected(block, here) if here else block

    def require_unchanged(self) -> None:
        """See `Delivery`."""
        self._delivery.require_unchanged()

    def _corrected(self, block: Block, here: _Here) -> Block:
        mine = pc.is_in(block.rows["source_line"], value_set=pa.array(sorted(here), pa.int64()))
        done: list[_Row | Reject] = []
        for row in block.rows.filter(mine).to_pylist() if mine.true_count else ():
            of_row = [one for one in here[row["source_line"]] if self._is_of_row(one, row)]
            done += [self._instead_of_row(row, of_row[-1])] if of_row else []
        for reject in _among(block.rejects, here):
            of_reject = [one for one in here[reject.line] if self._is_of_reject(one, reject)]
            done += [self._instead_of_reject(reject, of_reject[-1])] if of_reject else []
        if not done:
            return block
        self.applied += len(done)
        lines = {each.line if isinstance(each, Reject) else each["source_line"] for each in done}
        return self._put(block, done, lines)

    def _is_of_row(self, correction: Correction, row: _Row) -> bool:
        return correction.drop == self.identity or _is_as_before(row, correction, self._source)

    def _is_of_reject(self, correction: Correction, reject: Reject) -> bool:
        same = correction.stage == "ingest" and correction.before == reject.raw
        return same or correction.drop == self.identity

    def _put(self, block: Block, done: Sequence[_Row | Reject], lines: set[int]) -> Block:
        """`block` with `done` in the place of what it has at `lines`."""
        others = pc.invert(pc.is_in(block.rows["source_line"], value_set=pa.array(sorted(lines), pa.int64())))
        rows = [each for each in done if not isinstance(each, Reject)]
        batches = [
            block.rows.filter(others),
            pa.RecordBatch.from_pylist(rows, block.rows.schema),
        ]
        table = pa.Table.from_batches(batches).sort_by("source_line").combine_chunks()
        (batch,) = table.to_batches() or [block.rows.slice(0, 0)]
        rejects = [reject for reject in block.rejects if reject.line not in lines]
        rejects += [each for each in done if isinstance(each, Reject)]
        rejects.sort(key=lambda reject: reject.line)
        return replace(block, rows=batch, rejects=tuple(rejects))

    def _instead_of_row(self, row: _Row, correction: Correction) -> _Row | Reject:
        nothing = Reject(row["source_line"], 0, Reason.DISCARDED, "", self._as_json(row), raw_form="row")
        if correction.record is None:
            return _discarded(nothing, correction)
        return self._made(row, nothing, correction)

    def _instead_of_reject(self, reject: Reject, correction: Correction) -> _Row | Reject:
        if correction.record is None:
            return _discarded(reject, correction)
        empty = {column.stored: None for column in self._source.fields}
        kept = {UNDECLARED: None} if self._source.undeclared == "keep" else {}
        return self._made({**empty, **kept, "source_line": reject.line}, reject, correction)

    def _made(self, before: _Row, place: Reject, correction: Correction) -> _Row | Reject:
        """What the correction makes of a row; where that is refused, at `place`."""
        try:
            return self._maker.checked({**before, **row_of(correction.fields, self._source)})
        except LineError as error:
            refused = error.at(place.line, place.byte_offset, correction.record or "")
            return replace(refused, raw_form="row", readmitted=True)

    def _as_json(self, row: Mapping[str, Any]) -> str:
        return as_json(fields_of(row, self._source))


def row_of(fields: Mapping[str, Any], source: SourceBase, *, typed: bool = True) -> dict[str, Value | None]:
    """The values of a row that `fields` say, by the stored names of the columns that are among them.

    Args:
        fields: by declared field: JSON values, or texts as CSV has them. Others are left out.
        source: declares the columns.
        typed: moments are as `fields_of` writes them; else as the source writes them, or in ISO 8601.

    Raises:
        LineError: a value is not of its type.
    """
    row: dict[str, Value | None] = {}
    for column in source.fields:
        if column.found not in fields:
            continue
        value = fields[column.found]
        try:
            row[column.stored] = None if value is None else _value(value, column, typed=typed)
        except (ValueError, OverflowError) as error:
            found = plain(json.dumps(value, ensure_ascii=False, default=str))
            detail = f"{column.found}: expected {column.type}, found {found} ({error})"
            raise LineError(Reason.WRONG_TYPE, detail, column.found) from error
    return row


def fields_of(row: Mapping[str, Any], source: SourceBase) -> dict[str, Any]:
    """The declared columns of a row by their fields, as JSON has values; moments in ISO 8601."""
    return {column.found: _written(row[column.stored]) for column in source.fields if column.stored in row}


def as_json(fields: Mapping[str, Any]) -> str:
    """One line, the same for equal fields."""
    return json.dumps(fields, ensure_ascii=False, sort_keys=True)


def _is_as_before(row: Mapping[str, Any], correction: Correction, source: SourceBase) -> bool:
    """Whether a row that was read has the values that the corrected one had."""
    if correction.stage != "validate":
        return False
    before: dict[str, Any] = json.loads(correction.before)
    now = fields_of(row, source)
    shared = before.keys() & now.keys()
    return bool(shared) and all(before[name] == now[name] for name in shared)


def _among(rejects: Sequence[Reject], here: _Here) -> list[Reject]:
    """Those at one of the lines `here`; of empty lines only these are made."""
    if isinstance(rejects, EmptyLines):
        places = sorted(line - rejects.line for line in here)
        return [rejects[place] for place in places if 0 <= place < len(rejects)]
    return [reject for reject in rejects if reject.line in here]


def _discarded(reject: Reject, correction: Correction) -> Reject:
    by = f" by {correction.corrected_by}" if correction.corrected_by else ""
    detail = plain(f"left out{by} on {correction.corrected_at:%Y-%m-%d}: {correction.why}", 500)
    return replace(reject, reason=Reason.DISCARDED, detail=detail, column=None, readmitted=True)


def _value(value: Any, column: Column, *, typed: bool) -> Value:
    if not isinstance(value, str):
        return _plain_value(value, column)
    value.encode()
    iso = Moments(zone=column.moments.zone)
    first, second = (iso, column.moments) if typed else (column.moments, iso)
    try:
        return parse(value, column.type, first)
    except ValueError:
        return parse(value, column.type, second)


def _plain_value(value: Any, column: Column) -> Value:
    """A value of JSON that is no text."""
    match value, column.type:
        case bool(), "boolean":
            return value
        case int(), "integer" if not isinstance(value, bool):
            return require_int64(value)
        case float(), "number":
            return require_finite(value)
        case ((bool() | int() | float()), _):
            return recast(value, column.type, column.moments)
    raise ValueError("no single value")


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
