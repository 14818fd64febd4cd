"""Checkpoints: what a training needs to go on after its process was ended, on disk whole or not at all.

A checkpoint is a folder `step-<number>` with `state.pt`, which is read without running code, and
`manifest.json` with its digest. It is written under another name, the manifest last, made durable and then
renamed: a kill leaves it whole or without its name. What is in the state is `training.course`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import re
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch

from lakeloop.durable import fsync_directory, sha256_file, write_atomically
from lakeloop.faults import reach

log = logging.getLogger(__name__)

SECONDS = 60.0
"""Of work that a kill may cost."""
SHARE = 0.02
"""Of a training's time that may go into checkpoints: where one takes long they become rarer."""
_STATE = "state.pt"
_MANIFEST = "manifest.json"
_NAME = re.compile(r"step-(\d+)")
_MEMBER = "member-"
_FORMAT = 1

_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, pickle.UnpicklingError)
"""What reading a file that is not as it was written may raise, from its name to its tensors."""

State = dict[str, Any]
"""Tensors, numbers, strings and None, in dicts with names, lists and tuples."""


class _ForeignError(Exception):
    """The checkpoint is of other work."""


@dataclass
class Checkpoints:
    """The checkpoints of one job, which can tell its own from those of other work."""

    folder: Path
    key: str
    """Names the work: what decides its weights."""
    run: str = ""
    """The journal that a try which goes on from here continues."""
    every: float = field(default_factory=lambda: SECONDS)
    """Seconds between two of them, unless they cost more than `SHARE` of the time."""
    _step: int = -1
    """Of the newest that is whole, as far as this process knows."""
    _ended: float = field(init=False)
    _cost: float = 0.0
    _complained: bool = False

    def __post_init__(self) -> None:
        self._ended = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next."""
        return time.monotonic() - self._ended >= max(self.every, self._cost / SHARE)

    def of_member(self, number: int) -> Checkpoints:
        """Those of one of several networks that the job trains, numbered from 0."""
        return replace(self, folder=self.folder / f"{_MEMBER}{number}", _step=-1)

    def run_to_continue(self) -> str:
        """The journal of the newest checkpoint of this work; empty when there is none."""
        members = sorted(self.folder.glob(f"{_MEMBER}*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in [*self._newest_first(), *(step for member in members for step in _newest_first(member))]:
            try:
                return str(self._manifest(path)["run"])
            except (_ForeignError, *_DAMAGED):
                continue
        return ""

    def newest(self) -> State | None:
        """The newest state that is whole and of this work; None when there is none.

        A damaged one is named in the log, and the one before is taken.
        """
        for path in self._newest_first():
            try:
                state = self._read(path)
            except _ForeignError:
                log.info("checkpoint %s is of other work and is left alone", path.name)
            except _DAMAGED as error:
                why = (str(error).splitlines() or [type(error).__name__])[0]
                log.warning("checkpoint %s is damaged, and the one before is taken: %s", path, why)
            else:
                self._step = _number(path)
                return state
        return None

    def save(self, step: int, state: State) -> None:
        """Write `state` after `step` batches; then older ones go. One that is there already is left as it is.

        A disk that takes nothing is told once and is no reason to end: the work goes on without.
        """
        if step == self._step:
            return
        began = time.monotonic()
        try:
            self._write(step, state)
        except OSError as error:
            shutil.rmtree(self._temporary(step), ignore_errors=True)
            if not self._complained:
                log.warning("no checkpoint can be written, the training goes on without: %s", error)
            self._complained = True
        else:
            self._step, self._complained = step, False
        self._ended = time.monotonic()
        self._cost = self._ended - began

    def clear(self) -> None:
        """Remove all: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, step: int, state: State) -> None:
        temporary, place = self._temporary(step), self.folder / f"step-{step}"
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)  # a damaged one, or of other work
        temporary.mkdir(parents=True)
        digest = _write_state(temporary / _STATE, state)
        reach("train.in-checkpoint")
        digests = {_STATE: digest}
        manifest = {"format": _FORMAT, "key": self.key, "run": self.run, "step": step, "sha256": digests}
        write_atomically(temporary / _MANIFEST, json.dumps(manifest, indent=2) + "\n")
        temporary.rename(place)
        fsync_directory(self.folder)
        fsync_directory(self.folder.parent)
        reach("train.after-checkpoint")
        self._forget_others(place)

    def _forget_others(self, newest: Path) -> None:
        """Keep the newest, and the one before for a disk that spoils the newest."""
        kept = {newest, self.folder / f"step-{self._step}"}
        for path in self.folder.iterdir():
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def _read(self, path: Path) -> State:
        expected = self._manifest(path)["sha256"][_STATE]
        if (found := sha256_file(path / _STATE)) != expected:
            raise ValueError(f"{_STATE} has digest {found[:12]}, not {expected[:12]}")
        state: State = torch.load(path / _STATE, map_location="cpu", weights_only=True)
        return state

    def _manifest(self, path: Path) -> dict[str, Any]:
        manifest = dict(json.loads((path / _MANIFEST).read_bytes()))
        if manifest["key"] != self.key or manifest["format"] != _FORMAT:
            raise _ForeignError
        return manifest

    def _newest_first(self) -> list[Path]:
        return _newest_first(self.folder)

    def _temporary(self, step: int) -> Path:
        return self.folder / f".step-{step}.tmp"


def _newest_first(folder: Path) -> list[Path]:
    """The folders with the name of a checkpoint."""
    named = [path for path in folder.glob("*") if _NAME.fullmatch(path.name)]
    return sorted(named, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _write_state(path: Path, state: State) -> str:
    """Write a durable file; returns its sha256, taken of what was to be written."""
    with path.open("wb") as file:
        sink = _Sink(file)
        try:
            torch.save(state, sink)  # type: ignore[arg-type]  # write and flush are all that it calls
        except RuntimeError:
            if sink.error is not None:  # torch says "unexpected pos" of a full disk
                raise sink.error from None
            raise
        file.flush()
        os.fsync(file.fileno())
    return sink.digest.hexdigest()


class _Sink:
    """A file that digests what it is given, and remembers what the disk refused."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, block: bytes) -> int:
        try:
            self._file.write(block)
        except OSError as error:
            self.error = error
            raise
        self.digest.update(block)
        return len(block)

    def flush(self) -> None:
        self._file.flush()
