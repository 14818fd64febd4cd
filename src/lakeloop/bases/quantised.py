"""Base models whose weights are packed into few bits (GGUF), unpacked once into a folder like any other.

The folder lies in the cache, below the digest of the file. A process of its own makes it (`training.unpack`),
under a lock, and it appears whole or not at all. What was packed into 4 bits stays as coarse as it is: it is
unpacked to be trained on, and not made better.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakeloop.bases.files import WHERE
from lakeloop.bases.gguf_file import GgufHead, read_head
from lakeloop.durable import fsync_directory, fsync_tree, mark_used, sha256_file
from lakeloop.errors import EXIT_DONE, ConfigurationError, LakeloopError, TransientError
from lakeloop.faults import reach
from lakeloop.full_disk import bytes_left
from lakeloop.locks import locked
from lakeloop.settings import Settings

log = logging.getLogger(__name__)

RECEIPT = "lakeloop-unpacked.json"
"""Of an unpacked folder: the digest of what it was made of, and size and digest of each file."""
_MODULE = "training.unpack"
_WAY = 1
"""Raised when `training.unpack` makes other files of the same one."""
_BESIDE_WEIGHTS = 64 << 20
"""Bytes, at most, of what lies beside the weights: a tokenizer, and the config."""
_FLOAT = 4
_LAST_LINES = 3
_PARTS = ("where", "expected", "found", "remedy")


class NotUnpackedError(ConfigurationError):
    """The base model is here, but not unpacked yet: the first training does that."""


@dataclass(frozen=True)
class Quantised:
    """A GGUF file as a base model."""

    name: str
    """As the loop file has it."""
    file: Path
    digest: str
    """sha256 of the file: what the base model is."""
    head: GgufHead = field(compare=False, repr=False)

    @classmethod
    def of(cls, name: str, file: Path) -> Quantised:
        """That of a file, all of which is read.

        Raises:
            ConfigurationError: it is no whole GGUF file, or package `gguf` is missing.
        """
        head = read_head(file)
        return cls(name, file, sha256_file(file), head)

    def folder(self, settings: Settings, *, make: bool) -> Path:
        """The folder with the unpacked model; with `make` it is made where it is not there.

        Raises:
            ConfigurationError: the model is of a kind that is not known, or broken.
            NotUnpackedError: it is not there, without `make`.
            TransientError: no room is left for it, or the process that makes it was ended.
        """
        target = settings.cache / "bases" / f"{self.digest[:32]}-{_versions()}"
        if is_whole(target):
            mark_used(target)
            return target
        if not make:
            raise NotUnpackedError(
                "the base model is not unpacked yet", where=WHERE, expected=str(target), found=self.name
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        # One beside each folder, so that two models are unpacked side by side.
        with locked(target.with_name(f".{target.name}.lock")):
            if not is_whole(target):
                self._unpack(target, settings.root)
        return target

    def _unpack(self, target: Path, root: Path) -> None:
        partial = target.with_name(f".{target.name}.partial")
        for left in (partial, target):  # of one that was killed; or files of it were removed
            shutil.rmtree(left, ignore_errors=True)
        self._require_room(target.parent)
        log.info("%s is unpacked once, which takes a minute: %s", self.name, target)
        try:
            self._run(partial, root)
            fsync_tree(partial)
            reach("base.before-rename")
            partial.rename(target)
            fsync_directory(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        for note in _receipt(target).get("notes", ()):
            log.warning("%s: %s", self.name, note)

    def _require_room(self, place: Path) -> None:
        needed, left = _FLOAT * self.head.numbers + _BESIDE_WEIGHTS, bytes_left(place)
        if needed > left:
            raise TransientError(
                "no room to unpack the base model",
                where=str(place),
                expected=f"{needed / 1e9:.1f} GB",
                found=f"{left / 1e9:.1f} GB free",
                remedy="make room there, or set LAKELOOP_CACHE to a folder of another disk",
            )

    def _run(self, partial: Path, root: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", _MODULE, str(self.file), str(partial), "--parent", str(os.getpid())],
            cwd=root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == EXIT_DONE:
            return
        if error := _told(done.stdout):
            raise error
        last = " | ".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
        raise TransientError(
            "the process that unpacks the base model has failed",
            where=WHERE,
            expected="exit code 0",
            found=f"{done.returncode}, for {self.file}: {last[-500:] or 'it said nothing'}",
            remedy="exit code -9 means that memory was short: it needs about nine bytes for each weight",
        )


def is_whole(folder: Path) -> bool:
    """Whether all files that were unpacked into `folder` are there, by their sizes."""
    files = _receipt(folder).get("files")
    if not isinstance(files, Mapping) or not files:
        return False
    found = {name: folder / name for name in files}
    return all(path.is_file() and path.stat().st_size == files[name]["size"] for name, path in found.items())


def source_of(folder: Path, digests: Mapping[str, str]) -> str:
    """The digest of the file that `folder` was unpacked from; empty: it was not unpacked.

    Args:
        folder: where a base model lies.
        digests: name -> sha256 of its files as they are now.

    Raises:
        ConfigurationError: one of these files is another than was unpacked.
    """
    receipt = _receipt(folder)
    for name, digest in digests.items():
        was = receipt.get("files", {}).get(name, {}).get("sha256", digest)
        if was != digest:
            raise ConfigurationError(
                f"{name} is not what was unpacked",
                where=str(folder),
                expected=f"sha256 {was}",
                found=f"sha256 {digest}",
                remedy="remove that folder: the next training unpacks it again",
            )
    return str(receipt.get("source", ""))


def _receipt(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RECEIPT).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _versions() -> str:
    """Of what decides how a file is unpacked."""
    try:
        return f"{importlib.metadata.version('transformers')}-{_WAY}"
    except importlib.metadata.PackageNotFoundError:
        raise ConfigurationError(
            "transformers, which unpacks the base model, is not installed",
            where=WHERE,
            remedy='install it: pip install "lakeloop[train]"',
        ) from None


def line_of(error: LakeloopError) -> str:
    """The line by which the process that unpacks says an error."""
    kind = TransientError if isinstance(error, TransientError) else ConfigurationError
    return json.dumps([kind.__name__, error.message, {key: getattr(error, key) for key in _PARTS}])


def _told(output: str) -> LakeloopError | None:
    """The error that the process said, in the last line that it wrote."""
    try:
        kind, message, parts = json.loads(output.strip().splitlines()[-1])
        return (TransientError if kind == TransientError.__name__ else ConfigurationError)(message, **parts)
    except (IndexError, ValueError, TypeError):
        return None
