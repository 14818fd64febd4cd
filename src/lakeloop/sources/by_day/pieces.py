"""A piece a day in a folder: the rows as Arrow streams, the rejected records as lines of JSON.

Records keep the line and the offset that they have in the user's file. Writing holds a bounded part in memory
however many days there are; reading, a batch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import ipc

from lakeloop.durable import fsync_tree, write_atomically
from lakeloop.errors import DataError, TransientError
from lakeloop.sources.base import Block
from lakeloop.sources.by_day.digest import PieceDigest
from lakeloop.sources.portable import reject_of
from lakeloop.sources.rejects import Reject

_HELD_BYTES = 64 << 20
_MOST_DAYS = 10_000
_REJECTS_AT_ONCE = 2048
_INDEX = "index.json"
_FILE = b"file"
_UNDECLARED = b"undeclared"


@dataclass
class _Piece:
    """One day while it is written."""

    digest: PieceDigest = field(default_factory=PieceDigest)
    rows: list[tuple[str, pa.RecordBatch]] = field(default_factory=list)
    undeclared: Counter[str] = field(default_factory=Counter)
    """Field that is not declared -> rows of `rows` that have it."""
    rejects: list[bytes] = field(default_factory=list)
    read: int = 0


class PieceWriter:
    """Writes records to the pieces of their days below `folder`, which is there and empty."""

    def __init__(self, folder: Path, where: str) -> None:
        self._folder = folder
        self._where = where
        self._pieces: dict[str, _Piece] = {}
        self._held = 0

    def rows(self, day: str, file: str, batch: pa.RecordBatch, undeclared: Mapping[str, int]) -> None:
        """Add rows of one day and one file; `undeclared` as in a block.

        Raises:
            DataError: there are too many days.
        """
        piece = self._piece(day)
        piece.digest.rows(file, batch)
        piece.rows.append((file, batch))
        piece.undeclared.update(undeclared)
        piece.read += batch.num_rows
        self._hold(batch.nbytes)

    def reject(self, day: str, line: bytes) -> None:
        """Add a rejected record, as `reject_line` makes it."""
        piece = self._piece(day)
        piece.digest.reject(line)
        piece.rejects.append(line)
        piece.read += 1
        self._hold(len(line))

    def close(self) -> None:
        """Write what is held, and the index that names the days; all of it is on the disk then."""
        self._flush()
        days = {
            day: {"identity": f"day:{piece.digest.hexdigest()}", "read": piece.read}
            for day, piece in sorted(self._pieces.items())
        }
        write_atomically(self._folder / _INDEX, json.dumps(days, indent=1))
        fsync_tree(self._folder)

    def _piece(self, day: str) -> _Piece:
        if day not in self._pieces and len(self._pieces) >= _MOST_DAYS:
            raise DataError(
                "too many days in it",
                where=self._where,
                expected=f"at most {_MOST_DAYS} different days in the column of source.partition_by",
                found=f"{min(self._pieces)} to {max(self._pieces)}, and more",
                remedy="is it the right column, and read by the right format?",
            )
        return self._pieces.setdefault(day, _Piece())

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held >= _HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        for day, piece in self._pieces.items():
            if piece.rows:
                with (self._folder / f"{day}.rows").open("ab") as file:
                    for name, batches in groupby(piece.rows, key=lambda item: item[0]):
                        _write_stream(file, name, [batch for _, batch in batches], piece.undeclared)
                        piece.undeclared.clear()
                piece.rows.clear()
            if piece.rejects:
                with (self._folder / f"{day}.rejects").open("ab") as file:
                    file.writelines(piece.rejects)
                piece.rejects.clear()
        self._held = 0


class PieceDelivery:
    """The records of one day, from its piece; see `Delivery`."""

    def __init__(self, folder: Path, day: str, identity: str, name: str, where: str) -> None:
        self._folder = folder
        self._day = day
        self.identity = identity
        self.name = name
        self.where = where
        self._read = PieceDigest()

    def blocks(self) -> Iterator[Block]:
        """The good records, then the bad ones, each in the order of the files."""
        self._read = PieceDigest()
        schema = pa.schema([])  # a day has a row, or it were none
        for name, batch, undeclared in _streams(self._folder / f"{self._day}.rows"):
            self._read.rows(name, batch)
            schema = batch.schema.remove_metadata()
            yield Block(batch.replace_schema_metadata(None), (), batch.num_rows, undeclared, name)
        for file, rejects in self._rejects():
            yield Block(pa.RecordBatch.from_pylist([], schema), rejects, len(rejects), file=file)

    def _rejects(self) -> Iterator[tuple[str | None, tuple[Reject, ...]]]:
        path = self._folder / f"{self._day}.rejects"
        if not path.exists():
            return
        with path.open("rb") as file:
            while lines := list(islice(file, _REJECTS_AT_ONCE)):
                for line in lines:
                    self._read.reject(line)
                for name, group in groupby(map(reject_of, lines), key=lambda found: found[0]):
                    yield name, tuple(reject for _, reject in group)

    def require_unchanged(self) -> None:
        """Compare what `blocks` has read with what was written; see `Delivery`."""
        if (found := f"day:{self._read.hexdigest()}") != self.identity:
            raise TransientError(
                "the records of the day are not those that were split off the file",
                where=str(self._folder),
                expected=self.identity[:16],
                found=found[:16],
                remedy="nothing was published; is the disk in order? Remove that folder and run it again",
            )


def index_of(folder: Path) -> dict[str, str]:
    """Day -> identity of its piece, oldest first. Raises OSError or ValueError when it is not whole."""
    days: dict[str, dict[str, Any]] = json.loads((folder / _INDEX).read_bytes())
    return {day: str(piece["identity"]) for day, piece in days.items()}


def _write_stream(
    file: IO[bytes], name: str, batches: list[pa.RecordBatch], undeclared: Mapping[str, int]
) -> None:
    about = {_FILE: name.encode(), _UNDECLARED: json.dumps(undeclared).encode()}
    schema = batches[0].schema.with_metadata(about)
    options = ipc.IpcWriteOptions(compression="lz4")
    with ipc.new_stream(pa.PythonFile(file, "w"), schema, options=options) as stream:
        for batch in batches:
            stream.write_batch(batch.replace_schema_metadata(schema.metadata))


def _streams(path: Path) -> Iterator[tuple[str, pa.RecordBatch, dict[str, int]]]:
    """The batches of the streams that lie one behind the other in a file.

    With each, the name of its file, and what is undeclared in it: in the first of a stream, for all of them.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        size = path.stat().st_size
        while file.tell() < size:
            with ipc.open_stream(pa.PythonFile(file, "r")) as stream:
                name = stream.schema.metadata[_FILE].decode()
                undeclared = json.loads(stream.schema.metadata[_UNDECLARED])
                for batch in stream:
                    yield name, batch, undeclared
                    undeclared = {}
