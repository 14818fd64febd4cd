"""Files as a delivery: one, or several in the order of their names; what they are made of is their sha256."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from lakeloop.durable import FileState
from lakeloop.errors import TransientError
from lakeloop.sources.again import RawRecord, records_at
from lakeloop.sources.base import Block, Delivery, Rereadable
from lakeloop.sources.child import ChildLimits, Job, blocks_from_child
from lakeloop.sources.formats.csv_rows import grammar_of
from lakeloop.sources.formats.registry import format_of
from lakeloop.sources.formats.text import text_of
from lakeloop.sources.packed import Limits, Packing, first_bytes, members, packing_of, unpack
from lakeloop.spec.contract import SourceBase

_BLOCK = 1 << 20
_USUAL = Limits()
_USUAL_OF_A_CHILD = ChildLimits()


class FileDelivery:
    """One file, named by the sha256 of its bytes as they lie there, compressed or not.

    Args:
        path: where it lies on this machine.
        sha256: of its bytes, hex.
        name: how rows refer to it; to a file in a zip archive as `name/member`.
        source: what the loop file declares of it.
        limits: what it may unpack to.
        child_limits: what the process may take that reads it, where it is another one.
        shown: where people find it; where it lies, when that is not said.
        state: of the file from before `sha256` was taken, when that was settled: as long as it stays, the
            file is not digested again.
    """

    def __init__(
        self,
        path: Path,
        sha256: str,
        name: str,
        source: SourceBase,
        limits: Limits = _USUAL,
        child_limits: ChildLimits = _USUAL_OF_A_CHILD,
        shown: str = "",
        state: FileState | None = None,
    ) -> None:
        self.path = path
        self.where = shown or str(path)
        self.name = name
        self.identity = f"sha256:{sha256}"
        self._source = source
        self._limits = limits
        self._child_limits = child_limits
        self._state = state
        self._read = ""

    @property
    def size(self) -> int:
        """Bytes of the file as it lies there."""
        return self.path.stat().st_size

    @property
    def digest_read(self) -> str:
        """The sha256 of the bytes that were read; empty while they are."""
        return self._read

    def blocks(self) -> Iterator[Block]:
        """The records, in the order of the file; see `Delivery`.

        What is compressed, or of a format with an index, is read by another process: see `child`.

        Raises:
            DataError: it is compressed and cannot be unpacked, or is not what the loop file declares.
            OSError: it cannot be read.
        """
        self._read = ""
        if not self._may_harm():
            yield from self.blocks_here()
            return
        for found in blocks_from_child(Job(self, self._child_limits)):
            if isinstance(found, str):
                self._read = found
            else:
                yield found

    def _may_harm(self) -> bool:
        with self.path.open("rb", buffering=0) as file:
            packed = packing_of(first_bytes(file), self.where) is not Packing.NONE
        return packed or format_of(self._source).seeks

    def blocks_here(self) -> Iterator[Block]:
        """As `blocks`, by this process."""
        self._read = ""
        form = format_of(self._source)
        with self._opened() as (file, stream):
            for member, content in self._contents(file, stream):
                where = self.where if member is None else f"{self.where}/{member}"
                for block in form.read(content, where, self._source):
                    yield block if member is None else replace(block, file=f"{self.name}/{member}")

    @contextmanager
    def _opened(self) -> Iterator[tuple[io.FileIO, io.RawIOBase]]:
        """The file, and a stream of all its bytes; of what was read the digest is known behind the block."""
        with self.path.open("rb", buffering=0) as file:
            hashed = _HashedFile(file)
            yield file, file if self._state else hashed
            if self._state and self._state == FileState.of(self.path):
                self._read = self.identity.removeprefix("sha256:")
            else:
                self._read = hashed.digest_of_all()

    def _contents(self, file: io.FileIO, whole: io.RawIOBase) -> Iterator[tuple[str | None, BinaryIO]]:
        """What is in the file: itself, unpacked, without a name; or the members of an archive."""
        form = format_of(self._source)
        packing = packing_of(first_bytes(file), self.where)
        if packing is Packing.ZIP:
            for member, stream in members(file, self.where, self._limits, form.suffixes):
                yield member, (_on_disk(stream) if form.seeks else stream)
        elif packing is not Packing.NONE:
            stream = unpack(whole, packing, self.where, self._limits)
            yield None, (_on_disk(stream) if form.seeks else stream)
        else:
            yield None, cast("BinaryIO", file if form.seeks else whole)

    def records_at(self, lines: Mapping[str, Collection[int]]) -> Iterator[tuple[str, RawRecord]]:
        """The records that begin at these lines, as they stand in the file, unpacked; see `Rereadable`."""
        self._read = ""
        if format_of(self._source).seeks:
            return
        with self._opened() as (file, stream):
            for member, content in self._contents(file, stream):
                name = self.name if member is None else f"{self.name}/{member}"
                text = text_of(content, self.where, self._source)
                for record in records_at(text, lines.get(name, ()), _quote(self._source)):
                    yield name, record

    def require_unchanged(self) -> None:
        """Compare the bytes that were read last with those that the identity names; see `Delivery`."""
        if (found := f"sha256:{self._read}") != self.identity:
            raise TransientError(
                "the file changed while it was read",
                where=self.where,
                expected=self.identity[:19],
                found=found[:19],
                remedy="nothing was published; put files there by renaming, then this runs again",
            )


class OneFile(Delivery, Rereadable, Protocol):
    """A file, wherever it lies."""

    @property
    def size(self) -> int:
        """Bytes of the file as it lies there."""


class FilesDelivery:
    """Several files that are one delivery: its identity is made of all their names and digests."""

    def __init__(self, files: Sequence[OneFile], name: str, where: str) -> None:
        self.files = tuple(files)
        self.name = name
        self.where = where
        listed = "".join(f"{len(file.name)}:{file.name} {file.identity}\n" for file in self.files)
        self.identity = f"files:{hashlib.sha256(listed.encode()).hexdigest()}"

    def blocks(self) -> Iterator[Block]:
        """The records of one file after the other, each block with the name of its file."""
        for file in self.files:
            for block in file.blocks():
                yield block if block.file else replace(block, file=file.name)

    def records_at(self, lines: Mapping[str, Collection[int]]) -> Iterator[tuple[str, RawRecord]]:
        """The records that begin at these lines; see `FileDelivery`."""
        for file in self.files:
            yield from file.records_at(lines)

    def require_unchanged(self) -> None:
        """See `FileDelivery`."""
        for file in self.files:
            file.require_unchanged()


def _quote(source: SourceBase) -> str | None:
    """Between a pair of it, a line end belongs to the record."""
    if source.format != "csv":
        return None
    return grammar_of(source).quote


def _on_disk(stream: BinaryIO) -> BinaryIO:
    """The bytes of `stream` in a file without a name, for a format that has its index at the end."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  (closed with its last reference)
    shutil.copyfileobj(stream, file, _BLOCK)
    file.seek(0)
    return cast("BinaryIO", file)


class _HashedFile(io.RawIOBase):
    """A file that is hashed on the way when it is read from its beginning to its end."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._hashed = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        count = self._file.readinto(buffer)
        if count:
            self._digest.update(memoryview(buffer)[:count])
            self._hashed += count
        return count

    def digest_of_all(self) -> str:
        """The sha256 of the whole file: what was not read through here is read now."""
        self._file.seek(self._hashed)
        while self.read(_BLOCK):
            pass
        return self._digest.hexdigest()
