"""A window on a file that is read once: the bytes from where the reader is, and more when it asks."""

from __future__ import annotations

from typing import BinaryIO

from lakeloop.sources.formats.blocks import BOM


class Window:
    """The bytes of `file` from `start` of `data` on. A byte order mark at the beginning is left out.

    The last line of the file always has an end: an LF is put there where the file has none.

    Args:
        file: open at its beginning.
        read_bytes: how much is read at once.
    """

    def __init__(self, file: BinaryIO, read_bytes: int) -> None:
        self.data = b""
        self.start = 0
        self.ended = False
        """All of the file is in the window."""
        self._file = file
        self._read_bytes = read_bytes
        self._dropped = 0
        self._begun = False

    @property
    def offset(self) -> int:
        """Where in the file `start` is."""
        return self._dropped + self.start

    def fill(self, wanted: int) -> bool:
        """Have `wanted` bytes from `start` on, or what is left of the file; False when nothing is."""
        if len(self.data) - self.start < wanted and not self.ended:
            parts, held = [self.data[self.start :]], len(self.data) - self.start
            while held < wanted or not self._begun:
                chunk = self._file.read(self._read_bytes)
                if not chunk:
                    self.ended = True
                    break
                parts.append(chunk)
                held += len(chunk)
                self._begun = self._begun or held >= len(BOM)
            self._dropped += self.start
            self.start = 0
            self.data = b"".join(parts)
            if self._dropped == 0 and self.data.startswith(BOM):
                self.start = len(BOM)
            if self.ended and len(self.data) > self.start and not self.data.endswith(b"\n"):
                self.data += b"\n"
        return self.start < len(self.data)

    def drop_to(self, place: int) -> None:
        """Have done with the bytes of `data` before `place`."""
        self.start = place

    def drop_read(self) -> bool:
        """Have done with all bytes in the window, and read some more; False when the file ends."""
        self.start = len(self.data)
        return self.fill(1)
