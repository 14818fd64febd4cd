"""Why a line is not a row: the reason codes of quarantined lines, and a rejected line kept whole.

Checks of the values themselves (an empty text, an unknown answer) are not here but in `lakeloop.quality`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, overload

from lakeloop.spec.quoting import plain

NOTHING = "nothing in it"
"""Detail of a blank line."""
_LONGEST_DETAIL = 500


class Reason(StrEnum):
    """Code of a quarantined line; the detail beside it is for a person."""

    BLANK_LINE = "blank_line"
    BROKEN_JSON = "broken_json"
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_FIELD = "duplicate_field"
    """A JSON object names a field twice: which value is meant is a guess."""
    EXTRA_FIELD = "extra_field"
    """A field that the loop file does not declare."""
    BROKEN_CSV = "broken_csv"
    """Quotes that do not fit (RFC 4180)."""
    COLUMN_COUNT = "column_count"
    WRONG_TYPE = "wrong_type"
    MISSING_KEY = "missing_key"
    NULL_KEY = "null_key"
    """The key is there, and null or empty."""
    NO_DAY = "no_day"
    """The column that says the day (`source.partition_by`) is null."""
    BAD_UTF8 = "bad_utf8"
    BAD_ENCODING = "bad_encoding"
    """A byte that is none of the encoding that the loop file declares."""
    NUL_BYTE = "nul_byte"
    LINE_TOO_LONG = "line_too_long"
    DISCARDED = "discarded"
    """A person said that the record is to be left out for good."""


@dataclass(frozen=True)
class Reject:
    """A line that is not a row."""

    line: int
    """Number of the record's first line in its file, from 1."""
    byte_offset: int
    """Offset of the record's first byte in its file; where the loop file declares an `encoding`, in the file
    as UTF-8."""
    reason: Reason
    detail: str
    """For a person, on one line, without control characters."""
    raw: str
    """The whole record without the line end at its end. When its bytes are not UTF-8, or none of the declared
    encoding: those bytes as \\xNN and each backslash doubled, so that the bytes can be had back. A record
    that is too long is cut at the limit."""
    column: str | None = None
    row_key: str | None = None
    raw_form: Literal["line", "row"] = "line"
    """`row` where there is no text to keep: `raw` is then the record as JSON."""
    readmitted: bool = False
    """It is what a correction made of the record."""


@dataclass(frozen=True)
class EmptyLines(Sequence[Reject]):
    """Lines with nothing in them, one after the other: rejects that are made when somebody looks at one."""

    line: int
    """Number of the first."""
    byte_offset: int
    """Of the first."""
    line_end: int
    """Bytes of each line end."""
    lines: int

    def __len__(self) -> int:
        return self.lines

    @overload
    def __getitem__(self, place: int) -> Reject: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Reject, ...]: ...

    def __getitem__(self, place: int | slice) -> Reject | tuple[Reject, ...]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(self.lines)))
        number = range(self.lines)[place]
        offset = self.byte_offset + number * self.line_end
        return Reject(self.line + number, offset, Reason.BLANK_LINE, NOTHING, "")


class LineError(Exception):
    """A line cannot become a row; caught by the reader, which knows line and offset."""

    def __init__(
        self, reason: Reason, detail: str, column: str | None = None, row_key: str | None = None
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.column = column
        self.row_key = row_key

    def at(self, line: int, byte_offset: int, raw: str) -> Reject:
        """The reject for this error in the record `raw`, as `raw_text` gives it."""
        column, row_key = (None if name is None else _storable(name) for name in (self.column, self.row_key))
        return Reject(
            line, byte_offset, self.reason, plain(self.detail, _LONGEST_DETAIL), raw, column, row_key
        )


def raw_text(line: bytes) -> str:
    """`line` as text that keeps every byte: as it is when it is UTF-8, else escaped (see `Reject.raw`)."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.replace(b"\\", b"\\\\").decode(errors="backslashreplace")


def _storable(text: str) -> str:
    """JSON can name half a surrogate pair, which no UTF-8 file can hold."""
    return text.encode(errors="backslashreplace").decode()
