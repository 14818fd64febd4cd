"""What a file is by its first bytes, whatever it is called: text, or no text."""

from __future__ import annotations

import codecs

from lakeloop.errors import DataError

FIRST_BYTES = 4096
"""How many of the first bytes are looked at."""

_PACKED = "it is unpacked by itself where source.path names it; here it is packed twice: unpack it once"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip", _PACKED),
    (b"\x28\xb5\x2f\xfd", "zstd", _PACKED),
    (b"PK\x03\x04", "a zip archive", _PACKED),
    (b"PAR1\x15", "Parquet", "say format: parquet in the loop file"),
    (b"%PDF-", "PDF", "export the data as CSV, JSON Lines or Parquet"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV, JSON Lines or Parquet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook of old", "save it as CSV, in UTF-8"),
    (b"ARROW1\0", "Arrow", "export the data as Parquet, JSON Lines or CSV"),
    (b"Obj\x01", "Avro", "export the data as Parquet, JSON Lines or CSV"),
    (b"ORC\x0a", "ORC", "export the data as Parquet, JSON Lines or CSV"),
    (b"\x89PNG\r\n", "a picture", "put the data there"),
    (b"\xff\xd8\xff", "a picture", "put the data there"),
    (b"\x7fELF", "a program", "put the data there"),
)
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def wide_encoding(first: bytes) -> str | None:
    """The encoding of a text in which a letter has 2 or 4 bytes; None where it is another.

    Without a byte order mark, it is known by the zero bytes of letters and signs of ASCII.
    """
    for mark, encoding in _MARKS:
        if first.startswith(mark):
            return encoding
    even, odd = first[0::2], first[1::2]
    if len(odd) < 4:
        return None
    for zeros, letters, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros.count(0) > 0.4 * len(zeros) and letters.count(0) < 0.1 * len(letters):
            return encoding
    return None


def require_text(first: bytes, where: str, encoding: str | None) -> None:
    """Refuse a file that is not text.

    Args:
        first: its first bytes, `FIRST_BYTES` of them.
        where: the file.
        encoding: the loop file declares it; None: UTF-8.

    Raises:
        DataError: it is something else; names it, and what to do.
    """
    expected = f"text in {encoding or 'UTF-8'}"
    for magic, kind, remedy in _MAGIC:
        if first.startswith(magic):
            raise DataError(
                f"the file is {kind} and not text",
                where=where,
                expected=expected,
                found=f"the first bytes of {kind}",
                remedy=f"nothing was read; {remedy}",
            )
    if encoding is None and (wide := wide_encoding(first)):
        raise DataError(
            f"the file is text in {wide.upper()}",
            where=where,
            expected=expected,
            found=f"{first[:8].hex(' ')} as its first bytes",
            remedy=f"nothing was read; say encoding: {wide} in section source of the loop file, where all"
            " files are in it; or write this one in UTF-8",
        )
    marked = codecs.lookup(encoding).name if encoding else ""
    if first and marked in ("utf-16", "utf-32") and not first.startswith(_marks_of(marked)):
        raise DataError(
            f"the file has no byte order mark, with which a text in {marked.upper()} begins",
            where=where,
            expected=f"{' or '.join(mark.hex(' ') for mark in _marks_of(marked))} as its first bytes",
            found=first[:8].hex(" "),
            remedy=f"nothing was read; say encoding: {marked}-le, {marked}-be or utf-8 in section source of"
            " the loop file, which counts for all files; or write this one as it says",
        )


def _marks_of(encoding: str) -> tuple[bytes, ...]:
    return tuple(mark for mark, marked in _MARKS if marked == encoding)
