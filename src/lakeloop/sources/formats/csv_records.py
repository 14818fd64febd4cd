"""A CSV file to its records, losing none: each becomes a row or a rejected record, and they add up.

A record begins where the one before it ended, and ends at the first line end outside of its quotes; so it has
one line or more. What the grammar does not accept is a bad record of one line, and the next line begins a
record again: a quote that is never closed costs its line and not the file. Only where the next line with a
quote makes sense as the end of the bad record alone, all lines up to there are that bad record: no line of
somebody's text is taken for a row.

The file is read in blocks of whole records. A block goes through Arrow at once; when any record of it may be
bad, each small part of it does; and what may be bad there, through Python record by record. Where blocks end
changes nothing. In memory are a block and the longest record that there may be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from lakeloop.sources.base import Block
from lakeloop.sources.formats.blocks import BlockMaker, Parser, Record, too_long
from lakeloop.sources.formats.csv_grammar import CsvGrammar, Places
from lakeloop.sources.formats.lines import BLOCK_BYTES, MAX_LINE_BYTES, SMALL_BLOCKS
from lakeloop.sources.formats.window import Window
from lakeloop.sources.rejects import raw_text
from lakeloop.spec.contract import SourceBase

_LF = 0x0A
_SAMPLE_LINES = 50
"""Lines behind a quote that is open for too long, which tell by their fields whether they are rows."""


class CsvReader:
    """One pass over one file: a `header`, then `blocks`.

    The header is not counted as a record, but it has line number 1.

    Args:
        file: open at its beginning.
        source: the declared columns and the key.
        grammar: of its records.
        block_bytes: size of what goes through Arrow at once.
        max_record_bytes: a longer record is rejected.
    """

    def __init__(
        self,
        file: BinaryIO,
        source: SourceBase,
        grammar: CsvGrammar,
        *,
        block_bytes: int = BLOCK_BYTES,
        max_record_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._window = Window(file, block_bytes)
        self._maker = BlockMaker(source, blanks=" \t\r".replace(grammar.delimiter, ""))
        self._grammar = grammar
        self._block_bytes = block_bytes
        self._limit = max_record_bytes
        self._next_line = 1
        self._fields = 1  # of a record, as the header has them

    def header(self) -> str | None:
        """The first record without its line end, cut where it is too long; None when the file is empty."""
        if not self._window.fill(1):
            return None
        record = self._next_record()
        self._next_line += record.lines
        text = raw_text(record.content)
        self._fields = len(self._grammar.split(text) or [text])
        return text

    def blocks(self, parser: Parser) -> Iterator[Block]:
        """All records from here on. Raises OSError when the file cannot be read."""
        small = max(self._block_bytes // SMALL_BLOCKS, 1)
        behind = 0  # up to there in the file, small parts are tried
        while self._window.fill(self._block_bytes):
            window = self._window
            if found := self._maker.empty_lines(window.data, window.start, self._next_line, window.offset):
                window.drop_to(found[1])
                self._next_line += found[0].read
                yield found[0]
                continue
            wanted = self._block_bytes if self._window.offset >= behind else small
            if block := self._at_once(parser, wanted):
                yield block
            elif wanted > small:
                behind = self._window.offset + self._block_bytes
            else:
                yield from self._maker.one_by_one(parser, self._some_records(small))

    def _at_once(self, parser: Parser, wanted: int) -> Block | None:
        """The next records of `wanted` bytes as a block, when they are all good and none is too long."""
        start = self._window.start
        data = self._window.data[start : start + min(wanted, self._limit)]
        found = self._whole_lines(data) or self._whole_records(data)
        if found is None:
            return None
        block, begins, lines = found
        numbers = pa.array(begins + self._next_line, pa.int64())
        made = self._maker.at_once(parser, block, numbers, lines)
        if made:
            self._window.drop_to(start + len(block))
            self._next_line += lines
        return made

    def _whole_lines(self, data: bytes) -> tuple[bytes, Places, int] | None:
        """What `_whole_records` returns, where there is no quote: each line is a record."""
        if self._grammar.next_quote(data, 0, len(data)) >= 0:
            return None
        block = data[: data.rfind(b"\n") + 1]
        lines = int(np.count_nonzero(np.frombuffer(block, np.uint8) == _LF))
        if not lines or not self._grammar.is_strict(block, np.empty(0, np.intp)):
            return None
        return block, np.arange(lines), lines

    def _whole_records(self, data: bytes) -> tuple[bytes, Places, int] | None:
        """The records that `data` begins with, the line (from 0) in which each begins, and how many lines.

        None where it begins with no whole record, or one may be bad.
        """
        quotes, line_ends, record_ends = self._grammar.line_ends(data)
        if not len(record_ends):
            return None
        end = int(record_ends[-1]) + 1
        block = data[:end]
        if not self._grammar.is_strict(block, quotes[: np.searchsorted(quotes, end)]):
            return None
        # A record begins in the line behind the one in which the record before it ended.
        begins = np.searchsorted(line_ends, record_ends[:-1]) + 1
        return block, np.concatenate(([0], begins)), int(np.searchsorted(line_ends, end))

    def _some_records(self, wanted: int) -> Iterator[Record]:
        """The records of about `wanted` bytes, one by one."""
        behind = self._window.offset + wanted
        while self._window.offset < behind and self._window.fill(1):
            record = self._next_record()
            self._next_line += record.lines
            yield record

    def _next_record(self) -> Record:
        window = self._window
        end = self._good_end()
        if end is None and not window.ended and len(window.data) - window.start < 2 * self._limit:
            window.fill(2 * self._limit)
            end = self._good_end()
        if end is None:
            return self._bad_record()
        content, offset = window.data[window.start : end], window.offset
        window.drop_to(end)
        return Record(self._next_line, offset, without_line_end(content), content.count(b"\n"))

    def _good_end(self) -> int | None:
        # Two more for the line end, which is no part of the record.
        start = self._window.start
        return self._grammar.record_end(self._window.data, start, start + self._limit + 2)

    def _bad_record(self) -> Record:
        window, offset = self._window, self._window.offset
        data, start = window.data, window.start
        behind = data.find(b"\n", start, start + self._limit + 2) + 1
        if not behind:
            return self._long_record()
        end = self._bad_end(start, behind)
        if end is None:
            return self._long_record()
        content = data[start:end]
        window.drop_to(end)
        return Record(self._next_line, offset, without_line_end(content), content.count(b"\n"))

    def _bad_end(self, start: int, behind: int) -> int | None:
        """Where the bad record ends whose first line is from `start` to `behind`; None: behind the window."""
        data, grammar = self._window.data, self._grammar
        if grammar.quotes_in(data, start, behind) % 2 == 0:
            return behind
        limit = start + self._limit + 2
        place = behind
        while (quote := grammar.next_quote(data, place, limit)) >= 0:
            line = data.rfind(b"\n", place - 1, quote) + 1
            if grammar.record_end(data, line, limit):
                return behind
            if tail := grammar.tail_end(data, line, limit):
                return tail
            place = data.find(b"\n", quote, limit) + 1
            if not place or grammar.quotes_in(data, line, place) % 2:
                return behind
        if len(data) < limit or self._are_rows(behind, limit):
            return behind
        return None

    def _are_rows(self, start: int, limit: int) -> bool:
        """Whether most of the lines from `start` on have as many fields as the header."""
        lines = self._window.data[start:limit].split(b"\n")[:-1][:_SAMPLE_LINES]
        fields = (self._grammar.split(raw_text(without_line_end(line))) for line in lines)
        fitting = sum(len(found or ()) == self._fields for found in fields)
        return bool(lines) and 2 * fitting > len(lines)

    def _long_record(self) -> Record:
        """A record that goes on behind the limit: it is read to its end, and its beginning is kept.

        It ends where its quotes are even: with its first line, where it has none.
        """
        window, offset = self._window, self._window.offset
        content = window.data[window.start : window.start + self._limit]
        length, lines, quotes = 0, 0, 0
        while True:
            data = window.data[window.start :]
            places, line_ends, _ = self._grammar.line_ends(data)
            even = line_ends[(np.searchsorted(places, line_ends) + quotes) & 1 == 0]
            if len(even):
                end = int(even[0]) + 1
                window.drop_to(window.start + end)
                lines += int(np.searchsorted(line_ends, end))
                error = too_long(length + end - 1, self._limit, lines)
                return Record(self._next_line, offset, content, lines, error)
            length, lines, quotes = length + len(data), lines + len(line_ends), quotes + len(places)
            if not window.drop_read():
                error = too_long(length - 1, self._limit, lines)
                return Record(self._next_line, offset, content, lines, error)


def without_line_end(content: bytes) -> bytes:
    """`content` without the LF, or CR LF, at its end."""
    return content.removesuffix(b"\n").removesuffix(b"\r")
