"""Rows for a table on the local disk until the lake has them: one JSON-lines file a batch.

A row is handed to the operating system before its answer is sent, so that it survives a kill of the process
(not a power cut). Each process has a folder of its own, locked as long as it lives; a later process adopts
the folders of dead ones. Getting batches to the lake is `table`'s business.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from lakeloop.locks import take
from lakeloop.records import now

log = logging.getLogger(__name__)

BATCH_BYTES = 8 << 20
"""A batch is closed when its file is larger, whatever its number of rows."""
_SUFFIX = ".jsonl"
_LOCK = "lock"
_REJECTED = "rejected"

Row = Mapping[str, Any]
Kept = Literal["kept", "filled", "dropped"]


@dataclass(frozen=True)
class SpooledBatch:
    """A closed file of rows of one day, on its way to the lake."""

    path: Path
    rows: int
    bytes: int

    @property
    def id(self) -> str:
        """The same after a crash, so that the lake can tell that it has this batch."""
        return self.path.name.removesuffix(_SUFFIX)

    @property
    def partition(self) -> str:
        return self.id[:10]

    def read(self) -> list[dict[str, Any]]:
        """The rows; a line that was cut by a kill is left out: its request was never answered."""
        rows = []
        for line in self.path.read_bytes().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                log.warning("%s: a line that is no JSON (cut by a kill?) is left out", self.path)
        return rows


class _OpenBatch:
    """The file that rows are appended to. Whole rows or nothing."""

    def __init__(self, folder: Path, partition: str) -> None:
        self.partition = partition
        # Beginning with the time: the lake finds ids that grow faster than random ones.
        self.path = folder / f"{partition}T{now():%H%M%S.%f}-{uuid.uuid4().hex[:12]}{_SUFFIX}"
        self.rows = 0
        self.bytes = 0
        # Unbuffered: after write() the rows are the kernel's and outlive this process.
        self._file = self.path.open("wb", buffering=0)

    def append(self, rows: Sequence[Row]) -> None:
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        try:
            self._write(data)
        except OSError:
            os.ftruncate(self._file.fileno(), self.bytes)
            self._file.seek(self.bytes)
            raise
        self.rows += len(rows)
        self.bytes += len(data)

    def _write(self, data: bytes) -> None:
        written = self._file.write(data)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written to {self.path}")

    def close(self) -> SpooledBatch:
        self._file.close()
        return SpooledBatch(self.path, self.rows, self.bytes)


class Spool:
    """The waiting batches of one process. Safe to use from several threads."""

    def __init__(self, root: Path, *, batch_rows: int, backlog_bytes: int) -> None:
        """Open the spool and adopt what dead processes left below `root`."""
        self._root = root
        self._batch_rows = batch_rows
        self._backlog_bytes = backlog_bytes
        self._lock = threading.Lock()
        self._open: _OpenBatch | None = None
        self._closed: list[SpooledBatch] = []
        self._locks: dict[Path, int] = {}
        self._folder = self._own_folder()
        self._adopt()

    @property
    def rows(self) -> int:
        """Rows that wait, in open and closed batches."""
        with self._lock:
            return sum(batch.rows for batch in self._closed) + (self._open.rows if self._open else 0)

    def append(self, partition: date, rows: Sequence[Row]) -> Kept:
        """Keep `rows` of one day; returns `filled` when they closed a batch, `dropped` for a full backlog.

        Raises:
            OSError: the disk did not take them; none of them is kept.
        """
        day = partition.isoformat()
        with self._lock:
            if self._bytes() >= self._backlog_bytes:
                return "dropped"
            if self._open and self._open.partition != day:
                self._close()
            if self._open is None:
                self._open = _OpenBatch(self._folder, day)
            self._open.append(rows)
            if self._open.rows >= self._batch_rows or self._open.bytes >= BATCH_BYTES:
                self._close()
                return "filled"
            return "kept"

    def cut(self) -> None:
        """Close the open batch, so that its rows can go."""
        with self._lock:
            if self._open:
                self._close()

    def oldest(self) -> SpooledBatch | None:
        """The oldest closed batch; it stays in the spool until `remove` or `reject`."""
        with self._lock:
            return self._closed[0] if self._closed else None

    def remove(self, batch: SpooledBatch) -> None:
        """Forget a batch that the lake has, or whose file is gone."""
        batch.path.unlink(missing_ok=True)
        self._forget(batch)

    def reject(self, batch: SpooledBatch) -> Path:
        """Put aside a batch that the lake will never take; returns where it is kept."""
        aside = self._root / _REJECTED
        aside.mkdir(exist_ok=True)
        kept = batch.path.rename(aside / batch.path.name)
        self._forget(batch)
        return kept

    def close(self) -> None:
        """Give up the locks; what is left is adopted by the next process."""
        self.cut()
        with self._lock:
            for folder, descriptor in self._locks.items():
                if not any(folder.glob(f"*{_SUFFIX}")):
                    shutil.rmtree(folder, ignore_errors=True)
                os.close(descriptor)
            self._locks.clear()

    def _bytes(self) -> int:
        return sum(batch.bytes for batch in self._closed) + (self._open.bytes if self._open else 0)

    def _close(self) -> None:
        assert self._open is not None
        batch = self._open.close()
        self._open = None
        if batch.rows:
            self._closed.append(batch)
        else:  # the disk was full when its first row came
            batch.path.unlink()

    def _forget(self, batch: SpooledBatch) -> None:
        with self._lock:
            self._closed.remove(batch)

    def _own_folder(self) -> Path:
        # A process that starts at the same moment may see the new folder unlocked and adopt it: try another.
        while True:
            folder = self._root / uuid.uuid4().hex
            folder.mkdir(parents=True)
            if self._hold(folder):
                return folder

    def _hold(self, folder: Path) -> bool:
        """Lock a folder for this process; False when a living process has it, or it is gone."""
        try:
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return False
        if not take(descriptor):
            os.close(descriptor)
            return False
        self._locks[folder] = descriptor
        return True

    def _adopt(self) -> None:
        left: list[Path] = []
        for folder in self._root.iterdir():
            known = folder.name == _REJECTED or folder in self._locks
            if folder.is_dir() and not known and self._hold(folder):
                left.extend(folder.glob(f"*{_SUFFIX}"))
        self._closed = [_left_over(path) for path in sorted(left, key=lambda path: path.name)]
        if self._closed:
            rows = sum(batch.rows for batch in self._closed)
            log.info("%s: %d rows of an earlier process are still to go to the lake", self._root, rows)


def _left_over(path: Path) -> SpooledBatch:
    data = path.read_bytes()
    return SpooledBatch(path, data.count(b"\n"), len(data))
