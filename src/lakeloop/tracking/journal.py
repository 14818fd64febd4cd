"""The journal of one run: JSON lines on disk, the truth about what a stage or a training process reported.

Written so that a kill loses nothing that was fsynced, read so that a kill in the middle of a line does no
harm. Copying journals to W&B is `mirror`; how far each is copied is `progress`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from lakeloop.durable import fsync_directory
from lakeloop.errors import DataError, FenceError, TooEarlyError
from lakeloop.locks import is_locked, take
from lakeloop.redaction import known_secrets, scrub
from lakeloop.tracking.footprint import footprint

Kind = Literal["open", "config", "log", "table", "artifact", "summary", "close"]

SUFFIX = ".jsonl"
JOB = "-job"
"""Ends the stage under which the process of a training reports."""
TRIAL = "-trial"
"""Ends the stage of the jobs that are trials of a search."""
_LONGEST_ERROR = 2000
_FSYNC_SECONDS = 0.2
"""Most that a power cut may take from a running training; a kill of the process takes nothing."""


@dataclass(frozen=True)
class JournalIdentity:
    """What a journal is about: one stage of one partition, by one run.

    `run` is the token of the attempt (`Attempt.token`); in a training, the name of one try of the job.
    """

    loop: str
    stage: str
    partition: str
    run: str

    def path(self, journals: Path) -> Path:
        """Where the journal lives: <journals>/<loop>/<stage>/<partition>/<run>.jsonl."""
        return journals / self.loop / self.stage / self.partition / f"{_file_stem(self.run)}{SUFFIX}"


def _file_stem(token: str) -> str:
    # Airflow's run ids hold colons and plus signs; the digest keeps apart what the replacement made equal.
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", token)[:120]
    return readable if readable == token else f"{readable}-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Entry:
    """One line of a journal."""

    kind: Kind
    time: float
    """Seconds since the epoch."""
    data: dict[str, Any]


class JournalTracker:
    """A `Tracker` that appends to a journal; one writer at a time, safe to call from several threads.

    Opening an existing journal goes on behind its last whole line: a training that is resumed keeps its run.

    Raises:
        FenceError: another process is writing this journal.
    """

    def __init__(self, path: Path, identity: JournalIdentity) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._secrets = known_secrets()
        self._synced_at = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            _claim(self._descriptor, path)
            _drop_torn_line(self._descriptor)
            self._append("open", asdict(identity))
            fsync_directory(path.parent)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        early = isinstance(error, TooEarlyError)
        self.close(0 if kind is None else 1, f"{error}" if isinstance(error, Exception) else "", early=early)

    def config(self, values: Mapping[str, Any]) -> None:
        self._append("config", dict(values))

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._append("log", {"step": step, "metrics": dict(metrics)}, durable=False)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._append("table", {"name": name, "columns": list(columns), "rows": [list(row) for row in rows]})

    def artifact(
        self,
        name: str,
        kind: str,
        path: Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        used: bool = False,
        aliases: Sequence[str] = (),
        refers_to: str = "",
    ) -> None:
        data = {"name": name, "kind": kind, "path": str(path.resolve()), "metadata": dict(metadata or {})}
        said: dict[str, Any] = {"used": True} if used else {}
        said |= {"aliases": list(aliases)} if aliases else {}
        said |= {"refers_to": refers_to} if refers_to else {}
        self._append("artifact", {**data, **said, "footprint": footprint(path)})

    def summary(self, values: Mapping[str, Any]) -> None:
        self._append("summary", dict(values))

    def close(self, exit_code: int = 0, error: str = "", *, early: bool = False) -> None:
        """Write the last line, with the `error` that ended the work, and let go of the file.

        `early`: nothing was at work, it was asked for before its time.
        Closing again does nothing. The error stays on this machine.
        """
        if self._descriptor < 0:
            return
        why: dict[str, Any] = {"error": error[:_LONGEST_ERROR]} if error else {}
        why |= {"early": True} if early else {}
        try:
            self._append("close", {"exit_code": exit_code, **why})
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, kind: Kind, data: dict[str, Any], *, durable: bool = True) -> None:
        entry = {"kind": kind, "time": round(time.time(), 3), "data": scrub(data, self._secrets)}
        line = json.dumps(entry, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            if self._descriptor < 0:
                raise ValueError(f"{self.path}: the journal is closed")
            self._write(line)
            if durable or time.monotonic() - self._synced_at >= _FSYNC_SECONDS:
                os.fsync(self._descriptor)
                self._synced_at = time.monotonic()

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._descriptor).st_size
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:  # the next line would be glued onto the part that a full disk took
            os.ftruncate(self._descriptor, size)
            raise


class JournalReader:
    """Reads a journal piece by piece, also while it is written. `offset` is where the next piece begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._line = 0

    def advance(self) -> list[Entry]:
        """The whole lines since the last call; the beginning of a line waits for its end.

        Raises:
            DataError: a line is no journal entry.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            block = file.read()
        whole = block[: block.rfind(b"\n") + 1]
        entries = []
        for line in whole.splitlines():
            self._line += 1
            entries.append(self._parse(line))
        self.offset += len(whole)
        return entries

    def _parse(self, line: bytes) -> Entry:
        try:
            raw = json.loads(line)
            entry = Entry(raw["kind"], float(raw["time"]), dict(raw["data"]))
            if entry.kind in get_args(Kind):
                return entry
        except (ValueError, TypeError, KeyError):
            pass
        raise DataError(
            "not a journal entry",
            where=f"{self.path}:{self._line}",
            expected='{"kind": ' + "|".join(get_args(Kind)) + ', "time": seconds, "data": {...}}',
            found=repr(line[:80]),
            remedy="the file was changed by something else; move it away, or restore it",
        )


def read_journal(path: Path) -> list[Entry]:
    """All whole lines of a journal; the torn last line of a killed process is left out.

    Raises:
        DataError: a line is no journal entry.
    """
    return JournalReader(path).advance()


def has_writer(path: Path) -> bool:
    """Whether a process is writing this journal now; false when it was closed or its writer died."""
    return is_locked(path)


def _claim(descriptor: int, path: Path) -> None:
    # A shared lock of has_writer() may be in the way for a moment.
    if take(descriptor, seconds=0.5):
        return
    raise FenceError(
        "another process is writing this journal",
        where=str(path),
        expected="one writer for one attempt",
        remedy="let it end, or end it, before the same attempt is started again",
    )


def _drop_torn_line(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        begin = max(0, end - 65536)
        if (newline := os.pread(descriptor, end - begin, begin).rfind(b"\n")) >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end < size:
        os.ftruncate(descriptor, end)
