"""Compressed files as streams: gzip, zstd and zip, known by their first bytes and never by their name.

Nothing is held but a chunk. What comes out is counted while it is read, whatever the archive says of itself:
an archive that unpacks to more than the limits is refused. An archive in an archive is not opened.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, cast

import pyarrow as pa

from lakeloop.errors import DataError
from lakeloop.spec.quoting import plain, quote

_MOST_MEMBERS = 10_000
_FIRST_BYTES = 262
"""What must be seen of a file to know its kind: a tar archive says its name at byte 257."""
_FREE_BYTES = 64 << 20
"""Unpacked bytes to which the limit on the ratio does not apply: small files can be very regular."""
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, OverflowError,
    RuntimeError, pa.ArrowException,
)  # fmt: skip
"""What the libraries raise on archives that are none. Besides OSError without a number, which is Arrow's."""
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Python unpacks the other methods without a bound on memory."""


class Packing(StrEnum):
    """How a file is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    ZIP = "zip"


_PACKINGS = {
    b"\x1f\x8b": Packing.GZIP,
    b"\x28\xb5\x2f\xfd": Packing.ZSTD,
    b"PK\x03\x04": Packing.ZIP,
    b"PK\x05\x06": Packing.ZIP,  # without members
    b"PK\x07\x08": Packing.ZIP,  # in parts
}
_NOT_READ = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
}


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to."""

    bytes: int = 64 << 30
    ratio: int = 200
    """Unpacked bytes for each packed one, once there are 64 MB of them."""


def packing_of(first: bytes, where: str) -> Packing:
    """How a file with these first bytes (`_FIRST_BYTES` of them) is compressed.

    Raises:
        DataError: in a way that is not read here.
    """
    for magic, packing in _PACKINGS.items():
        if first.startswith(magic):
            return packing
    other = next((name for magic, name in _NOT_READ.items() if first.startswith(magic)), "")
    if first.startswith(b"BZh") and first[4:10] != b"1AY&SY":
        other = ""
    if first[257:262] == b"ustar":
        other = "tar"
    if other:
        raise DataError(
            f"a file of {other}",
            where=where,
            expected="a plain file, or one that gzip, zstd or zip has compressed",
            found=f"the first bytes of {other}",
            remedy="unpack it where it comes from, or compress it with gzip",
        )
    return Packing.NONE


def first_bytes(file: io.FileIO) -> bytes:
    """What `packing_of` asks for; the position in the file stays."""
    return os.pread(file.fileno(), _FIRST_BYTES, 0)


def unpack(stream: io.RawIOBase, packing: Packing, where: str, limits: Limits) -> BinaryIO:
    """The bytes that gzip or zstd packed, to be read from the beginning to the end, once.

    Raises:
        DataError: when it is read: the archive is damaged, cut off or too large, or holds another one.
    """
    counted = _Counted(stream)
    packed = pa.CompressedInputStream(pa.PythonFile(counted, mode="r"), str(packing))
    return cast("BinaryIO", _Unpacked(packed.read, counted, where, limits))


def members(
    file: io.FileIO, where: str, limits: Limits, suffixes: tuple[str, ...]
) -> Iterator[tuple[str, BinaryIO]]:
    """The files in a zip archive with their names, in the order of these; each is read before the next.

    A single one is taken whatever its name; of several, those that end in one of `suffixes`. Limits are those
    of all of them together.

    Raises:
        DataError: the archive is damaged, encrypted or too large, or none of its files is of this kind.
    """
    counted = _Counted(file)
    try:
        archive = zipfile.ZipFile(cast("BinaryIO", counted))
        chosen = _chosen(archive.infolist(), where, suffixes)
    except (*_DAMAGE, OSError) as error:
        raise _damaged(error, where, counted.count, 0) from error
    unpacked = 0
    for info in chosen:
        place = f"{where}/{plain(info.filename)}"
        _require_plain_member(info, place)
        try:
            stream = archive.open(info)
        except (*_DAMAGE, OSError) as error:
            raise _damaged(error, place, counted.count, unpacked) from error
        member = _Unpacked(stream.read, counted, place, limits, unpacked)
        yield info.filename, cast("BinaryIO", member)
        unpacked = member.count


def _chosen(infos: list[zipfile.ZipInfo], where: str, suffixes: tuple[str, ...]) -> list[zipfile.ZipInfo]:
    if len(infos) > _MOST_MEMBERS:
        found = f"{len(infos)}"
        raise DataError("too many files in it", where=where, expected=f"at most {_MOST_MEMBERS}", found=found)
    files = [info for info in infos if not info.is_dir() and not _hidden(info.filename)]
    if any(info.filename.startswith("xl/") for info in files):
        raise DataError(
            "the file is an Excel workbook",
            where=where,
            expected="a file of text or Parquet, or an archive of such files",
            found="a zip archive with xl/ in it",
            remedy="nothing was read; save the sheet as CSV, in UTF-8",
        )
    chosen = files if len(files) == 1 else [i for i in files if i.filename.lower().endswith(suffixes)]
    names = sorted(info.filename for info in files)
    if not chosen or len({info.filename for info in chosen}) < len(chosen):
        raise DataError(
            "not the files that the loop file declares",
            where=where,
            expected=f"one file, or some whose different names end in {' or '.join(suffixes)}",
            found=plain(", ".join(names), 300) or "no file in it",
            remedy="pack the files of the day and nothing else",
        )
    return sorted(chosen, key=lambda info: info.filename)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _require_plain_member(info: zipfile.ZipInfo, where: str) -> None:
    encrypted = info.flag_bits & 0x1
    if encrypted or info.compress_type not in _ZIP_METHODS:
        raise DataError(
            "cannot be unpacked",
            where=where,
            expected="a file that is stored or deflated, and not encrypted",
            found="encrypted" if encrypted else f"compression method {info.compress_type}",
            remedy="pack it without a password, with the usual method of zip",
        )


def _damaged(error: Exception, where: str, packed: int, unpacked: int) -> Exception:
    """The DataError for what a library raised; `error` itself when it is about the disk, or one of ours."""
    if isinstance(error, DataError) or (isinstance(error, OSError) and error.errno not in (None, 22)):
        return error
    return DataError(
        "cannot be unpacked",
        where=where,
        expected="a whole archive",
        found=f"{plain(str(error) or type(error).__name__, 200)}, after {packed} bytes of the file had been "
        f"read and {unpacked} bytes unpacked",
        remedy="nothing was published; put the whole file there again",
    )


class _Counted(io.RawIOBase):
    """A file that counts the bytes that are read of it."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self.count += count or 0
        return count


class _Unpacked(io.RawIOBase):
    """What a stream unpacks to, within the limits."""

    def __init__(
        self, read: Callable[[int], bytes], packed: _Counted, where: str, limits: Limits, before: int = 0
    ) -> None:
        self._unpack = read
        self._packed = packed
        self._where = where
        self._limits = limits
        self.count = before
        """Bytes that came out, with those of the members before."""
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._unpack(len(buffer))
        except (*_DAMAGE, OSError) as error:
            raise _damaged(error, self._where, self._packed.count, self.count) from error
        self.count += len(data)
        self._require_within_limits()
        if not self._begun:
            self._begun = True
            self._require_no_archive(data)
        buffer[: len(data)] = data
        return len(data)

    def _require_within_limits(self) -> None:
        too_regular = self.count > _FREE_BYTES and self.count > self._limits.ratio * self._packed.count
        if self.count <= self._limits.bytes and not too_regular:
            return
        raise DataError(
            "unpacks to more than is allowed",
            where=self._where,
            expected=f"at most {self._limits.bytes} bytes, and {self._limits.ratio} for each packed one",
            found=f"{self.count} bytes from {self._packed.count}, and more to come",
            remedy="if that is right, put the unpacked file there, or raise LAKELOOP_UNPACKED_BYTES or "
            "LAKELOOP_UNPACKED_RATIO",
        )

    def _require_no_archive(self, first: bytes) -> None:
        if (inner := packing_of(first[:_FIRST_BYTES], self._where)) is not Packing.NONE:
            raise DataError(
                "an archive in an archive",
                where=self._where,
                expected="a file that is compressed once",
                found=f"the first bytes of {inner} when it is unpacked",
                remedy=f"unpack it once: {quote(self._where)}",
            )
