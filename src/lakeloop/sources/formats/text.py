"""A file of text as a stream of UTF-8, whatever its encoding: what the readers of CSV and JSON Lines read.

A byte that is none of the encoding goes into the stream as a mark, which is no UTF-8: its record is refused,
and the mark says which byte it was.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import Any, BinaryIO, cast

from lakeloop.sources.formats.sniff import FIRST_BYTES, require_text
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.dialect import TextDialect, is_utf_8

_READ_BYTES = 256 * 1024
_MARKED = "lakeloop.marked"
_MARK = re.compile("[\udc00-\udcff]")


def text_of(file: BinaryIO, where: str, source: SourceBase) -> BinaryIO:
    """The text in `file`, which is open at its beginning, as a stream of UTF-8.

    Raises:
        DataError: the file is not text, or text in UTF-16 where the loop file does not say so.
        OSError: it cannot be read.
    """
    encoding = encoding_of(source)
    first = b""
    while len(first) < FIRST_BYTES and (chunk := file.read(FIRST_BYTES - len(first))):
        first += chunk
    require_text(first, where, encoding)
    whole = cast("BinaryIO", _Stream(first, file))
    return whole if encoding is None else cast("BinaryIO", _InUtf8(whole, encoding))


def encoding_of(source: SourceBase) -> str | None:
    """The encoding that the loop file declares; None where files are read as they are, as UTF-8."""
    encoding = source.encoding if isinstance(source, TextDialect) else "utf-8"
    return None if is_utf_8(encoding) else encoding


def marked_bytes(content: bytes) -> bytes:
    """The bytes that marks in `content` stand for, the first one first; none where there is no mark."""
    try:
        text = content.decode(errors="surrogatepass")
    except UnicodeDecodeError:  # cut within a character
        return b""
    return bytes(ord(mark) - 0xDC00 for mark in _MARK.findall(text))


def with_marks_escaped(content: bytes) -> str:
    r"""`content` with each mark as \xNN, the byte that it stands for, and each backslash doubled."""
    text = content.decode(errors="surrogatepass").replace("\\", "\\\\")
    return _MARK.sub(lambda mark: f"\\x{ord(mark[0]) - 0xDC00:02x}", text)


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARKED, _mark)


class _Stream(io.RawIOBase):
    """Bytes that were read already, then those of the file."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first = first
        self._file: Any = file  # BinaryIO has no readinto, and all files have

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._first:
            count: int | None = self._file.readinto(buffer)
            return count or 0
        data, self._first = self._first[: len(buffer)], self._first[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _InUtf8(io.RawIOBase):
    """A file in another encoding as UTF-8."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(_MARKED)
        self._held = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._held and not self._ended:
            chunk = self._file.read(_READ_BYTES)
            self._ended = not chunk
            self._held = self._decoder.decode(chunk, final=not chunk).encode(errors="surrogatepass")
        data, self._held = self._held[: len(buffer)], self._held[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
