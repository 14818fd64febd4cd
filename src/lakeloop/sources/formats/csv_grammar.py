"""The grammar of CSV (RFC 4180) for a delimiter and a quote: where records end, and what their fields are.

A record is fields with delimiters between them, then a line end (LF or CR LF). A field either begins and ends
with a quote, and holds delimiters, line ends and doubled quotes; or it holds no quote, delimiter or line end.
The grammar says in two ways whether bytes are records: as patterns, for one record, and by the places of
all quotes at once (`is_strict`), for a block. Both accept the same bytes. Nothing is read or typed here.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.intp]
"""Offsets in a block, ascending."""

_LF, _CR = 0x0A, 0x0D


class CsvGrammar:
    """The grammar for one delimiter and one quote.

    Args:
        delimiter: one ASCII character.
        quote: one ASCII character, or None: then no character is special but delimiter and line end.
    """

    def __init__(self, delimiter: str = ",", quote: str | None = '"') -> None:
        self.delimiter = delimiter
        self.quote = quote
        self._quote = quote.encode() if quote else b""
        field, delimited = _field(delimiter, quote), re.escape(delimiter)
        fields = rf"{field}(?:{delimited}{field})*+"
        self._fields = re.compile(fields)
        self._each = re.compile(rf"(?:^|{delimited})({field})")
        self._record = re.compile(rf"{fields}\r?\n".encode())
        inside = rf"(?:[^{_in_set(quote)}]++|{re.escape(quote * 2)})*+{re.escape(quote)}" if quote else "(?!)"
        self._tail = re.compile(rf"{inside}(?:{delimited}{field})*+\r?\n".encode())

    def record_end(self, data: bytes, start: int, limit: int) -> int | None:
        """The end of the record that begins at `start`, its line end included; None where there is none.

        A record that goes on behind `limit` is none.
        """
        match = self._record.match(data, start, limit)
        return match.end() if match else None

    def tail_end(self, data: bytes, start: int, limit: int) -> int | None:
        """The same for a record that began before `start` with a quote that is still open there."""
        match = self._tail.match(data, start, limit)
        return match.end() if match else None

    def quotes_in(self, data: bytes, start: int = 0, end: int | None = None) -> int:
        """How many quotes there are."""
        return data.count(self._quote, start, end) if self._quote else 0

    def next_quote(self, data: bytes, start: int, end: int) -> int:
        """The place of the first quote from `start` on; -1 where there is none before `end`."""
        return data.find(self._quote, start, end) if self._quote else -1

    def line_ends(self, block: bytes) -> tuple[Places, Places, Places]:
        """The places of all quotes in `block`, of all its LFs, and of those LFs that are outside of quotes.

        `block` begins with a record. What is outside is true for a block that `is_strict` finds in order.
        """
        content = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(content == _LF)
        if not self._quote or self._quote not in block:
            return np.empty(0, np.intp), ends, ends
        quotes = np.flatnonzero(content == self._quote[0])
        return quotes, ends, ends[np.searchsorted(quotes, ends) & 1 == 0]

    def is_strict(self, block: bytes, quotes: Places) -> bool:
        """Whether `block`, which ends with an LF outside of quotes, is records from its beginning to its end.

        Args:
            block: some bytes.
            quotes: the places of all quotes in it.
        """
        content = np.frombuffer(block, np.uint8)
        if len(quotes):
            delimiter, quote = ord(self.delimiter), self._quote[0]
            opening, closing = quotes[0::2], quotes[1::2]
            # An inner pair of quotes closes and opens again: each is the neighbour of the other.
            before = content[opening - 1]
            opens = (before == delimiter) | (before == _LF) | (before == quote) | (opening == 0)
            after = content[closing + 1]
            closes = (after == delimiter) | (after == _LF) | (after == quote)
            closes |= (after == _CR) & (content[np.minimum(closing + 2, len(content) - 1)] == _LF)
            if len(opening) != len(closing) or not (opens.all() and closes.all()):
                return False
        if b"\r" not in block:
            return True
        returns = np.flatnonzero(content == _CR)
        outside = returns[np.searchsorted(quotes, returns) & 1 == 0]
        return bool((content[outside + 1] == _LF).all())

    def split(self, record: str) -> list[str] | None:
        """The fields of a record without its line end, unquoted; None where it is no record."""
        if not self._fields.fullmatch(record):
            return None
        fields = [match[1] for match in self._each.finditer(record)]
        if not self.quote or self.quote not in record:
            return fields
        twice = self.quote * 2
        return [
            field[1:-1].replace(twice, self.quote) if field.startswith(self.quote) else field
            for field in fields
        ]

    def fault(self, record: str) -> tuple[int, str]:
        """Why `record` is none: the number of the field, from 0, and a sentence on it."""
        match = self._fields.match(record)
        place = match.end() if match else 0
        field = sum(1 for _ in self._each.finditer(record, 0, place)) - 1
        found = record[place : place + 1]
        if found == "\r":
            return field, "a carriage return outside of quotes"
        if found != self.quote:
            return field, f"text after the closing quote: {record[place : place + 20]!r}"
        if place == 0 or record[place - 1] == self.delimiter:
            return field, "the quote is not closed"
        return field, "a quote inside of a field that does not begin with one"


def _field(delimiter: str, quote: str | None) -> str:
    # Possessive, so that a hostile record costs no backtracking.
    if not quote:
        return rf"[^{_in_set(delimiter)}\r\n]*+"
    inside, twice, one = _in_set(quote), re.escape(quote * 2), re.escape(quote)
    return rf"(?:{one}(?:[^{inside}]++|{twice})*+{one}|[^{inside}{_in_set(delimiter)}\r\n]*+)"


def _in_set(character: str | None) -> str:
    return re.escape(character or "")
