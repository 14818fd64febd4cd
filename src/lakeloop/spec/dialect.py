"""How a file of text is written: its encoding, and the delimiter and quote of CSV."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Annotated

from lakeloop.spec.base import RAW, Section
from lakeloop.spec.rules import Broken

NO_QUOTE = "none"
_COMMA, _QUOTE, _UTF_8 = ",", '"', "utf-8"
_NOT_OF_FILES = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"})
"""Python's codecs that no file is written in, or that give halves of characters."""


class TextDialect(Section):
    delimiter: Annotated[str, RAW] = _COMMA
    """Of CSV: the character between fields, such as ";" or "\\t" (in double quotes: a tab)."""
    quote: Annotated[str, RAW] = _QUOTE
    """Of CSV: the character around fields that hold a delimiter, a line end or, doubled, a quote;
    `none` where no character does that."""
    encoding: Annotated[str, RAW] = _UTF_8
    """Of CSV and JSON Lines, by Python's name: utf-16, latin-1, cp1252, shift_jis. A record with a byte that
    is none of the encoding is quarantined. Offsets of records are then those in the file as UTF-8."""


def is_utf_8(encoding: str) -> bool:
    """Whether files in `encoding` are read as they are."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def dialect_rules(dialect: TextDialect, file_format: str) -> Iterator[Broken]:
    """What is wrong with the keys of `dialect` for files of `file_format`."""
    if file_format != "csv":
        for key, value, usual in (
            ("delimiter", dialect.delimiter, _COMMA),
            ("quote", dialect.quote, _QUOTE),
        ):
            if value != usual:
                yield Broken(key, f"not a key of {file_format}", "format: csv beside it", repr(value))
    if file_format not in ("csv", "jsonl") and dialect.encoding != _UTF_8:
        yield Broken("encoding", f"not a key of {file_format}", "a format of text", dialect.encoding)
    one = "one ASCII character that is no letter, digit or line end"
    if not _is_special(dialect.delimiter):
        expected = f'{one}; a tab is "\\t" in double quotes'
        yield Broken("delimiter", "wrong value", expected, repr(dialect.delimiter))
    if dialect.quote != NO_QUOTE and not _is_special(dialect.quote):
        yield Broken("quote", "wrong value", f"{one}, or {NO_QUOTE}", repr(dialect.quote))
    if dialect.quote == dialect.delimiter:
        yield Broken("quote", "the same as the delimiter", "another character", repr(dialect.quote))
    if not _is_encoding(dialect.encoding):
        expected = (
            "an encoding of text that Python knows, such as utf-8, utf-16, latin-1, cp1252 or shift_jis"
        )
        yield Broken("encoding", "no such encoding", expected, repr(dialect.encoding))


def _is_special(text: str) -> bool:
    return len(text) == 1 and text.isascii() and not text.isalnum() and text not in "\r\n\0"


def _is_encoding(name: str) -> bool:
    try:
        codec = codecs.lookup(name)
        readable = codec.incrementaldecoder is not None and "a\n".encode(name).decode(name) == "a\n"
    except (LookupError, ValueError, TypeError):
        return False
    return readable and codec.name.replace("-", "_") not in {one.replace("-", "_") for one in _NOT_OF_FILES}
