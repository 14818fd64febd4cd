"""Journals as files of TensorBoard: each run with numbers is a folder below that of its loop.

    tensorboard --logdir .lakeloop/tensorboard/<loop>

Written by the mirror from the journals, beside what it tells W&B: a step meets its journal alone. A run is
written from its beginning whenever a mirror meets it anew, so that no point is there twice.
"""

from __future__ import annotations

import importlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lakeloop.durable import write_atomically
from lakeloop.errors import DataError
from lakeloop.extras import not_installed
from lakeloop.tracking.journal import SUFFIX, Entry, JournalReader, has_writer

log = logging.getLogger(__name__)

_MARKER_SUFFIX = ".tensorboard.json"
_WRITER = "tensorboard.summary.writer.event_file_writer"
_EVENTS, _SUMMARIES = "tensorboard.compat.proto.event_pb2", "tensorboard.compat.proto.summary_pb2"


class Boards:
    """The files of all journals below one folder; without a folder to write to it does nothing."""

    def __init__(self, journals: Path, folder: Path | None) -> None:
        self._journals = journals
        self._folder = folder
        self._followed: dict[Path, _Board] = {}
        self._left: set[Path] = set()
        """Journals that cannot be read, or whose files cannot be written."""

    @property
    def follows(self) -> bool:
        """Whether a run at work is followed."""
        return bool(self._followed)

    def copy(self, *, look: bool) -> int:
        """Write what is new of the followed runs, and of others with `look`; returns how many ended."""
        if self._folder is None:
            return 0
        done = 0
        for path in list(self._waiting() if look else self._followed):
            # Asked before reading: a writer that is gone by now adds nothing that the reading could miss.
            ended = not has_writer(path)
            try:
                self._copy(path, self._folder / path.relative_to(self._journals).with_suffix(""), ended=ended)
            except ImportError as error:
                missing = not_installed(
                    "TensorBoard", "tensorboard", "tensorboard", where=_WRITER, error=error
                )
                log.warning("%s", missing)
                self._folder = None
                return done
            except (DataError, OSError) as error:
                log.warning("no files for TensorBoard of %s: %s", path, error)
                self._left.add(path)
                self._followed.pop(path, None)
            else:
                done += ended
        return done

    def _waiting(self) -> Iterator[Path]:
        for path in self._journals.glob(f"*/*/*/*{SUFFIX}"):
            if path not in self._left and _written(path) < path.stat().st_size:
                yield path

    def _copy(self, path: Path, into: Path, *, ended: bool) -> None:
        size = path.stat().st_size
        board = self._followed.get(path) or _Board(path, into)
        board.advance()
        self._followed[path] = board
        if ended:
            board.close()
            del self._followed[path]
            write_atomically(_marker(path), json.dumps({"size": size}) + "\n")


class _Board:
    """The files of one run."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._reader = JournalReader(path)
        self._folder = folder
        self._writer: Any = None
        self._points = 0

    def advance(self) -> None:
        """Write what was added to the journal since."""
        for entry in self._reader.advance():
            if entry.kind == "log":
                self._point(entry)
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _point(self, entry: Entry) -> None:
        if self._writer is None:
            writer = importlib.import_module(_WRITER)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._writer = writer.EventFileWriter(str(self._folder))
        step = entry.data["step"]
        self._writer.add_event(
            _event(entry.data["metrics"], self._points if step is None else step, entry.time)
        )
        self._points += 1


def _event(metrics: Mapping[str, Any], step: int, time: float) -> Any:
    """Numbers at one step; one that is infinite or none is in the journal by its name."""
    events, summaries = importlib.import_module(_EVENTS), importlib.import_module(_SUMMARIES)
    values = [summaries.Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
    return events.Event(wall_time=time, step=step, summary=summaries.Summary(value=values))


def _written(journal: Path) -> int:
    """Bytes of an ended journal that its files have; 0 for one that is not done."""
    try:
        return int(json.loads(_marker(journal).read_bytes())["size"])
    except (OSError, ValueError, KeyError):
        return 0


def _marker(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(SUFFIX) + _MARKER_SUFFIX)
