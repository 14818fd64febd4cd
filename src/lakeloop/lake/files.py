"""Folders of the lake: model versions, frozen data sets; immutable, and verified when they are fetched.

A folder is there when its manifest is, and the manifest (name -> sha256 of each file) is written last. Rows
belong in tables (`store`); scratch files belong in the work folder of a stage.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fsspec.core import url_to_fs

from lakeloop.durable import fsync_directory, fsync_tree, sha256_file, write_atomically
from lakeloop.errors import ArtifactError, ConfigurationError
from lakeloop.faults import reach
from lakeloop.lake.delta import local_path
from lakeloop.locks import locked

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_MANIFEST = ".manifest.json"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """A folder of the lake, whole or what is left of one."""

    name: str
    bytes: int
    written_at: datetime | None
    """When it became whole; None when it is not, or the store does not tell."""


class LakeFiles:
    """Folders below one path or URI, by names such as `models/v3`.

    Raises:
        ConfigurationError: the driver of the storage is not installed; in all methods, a name is none.
    """

    def __init__(self, base: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._local = local_path(base)
        self._base = str(self._local) if self._local else base.rstrip("/")
        try:
            self._fs, self._root = url_to_fs(
                self._base, **({} if self._local else dict(storage_options or {}))
            )
        except ImportError as error:
            raise ConfigurationError(
                "the driver of this storage is not installed", where=self._base, found=str(error)
            ) from None

    def uri(self, name: str) -> str:
        """Address of a folder, there or not."""
        return f"{self._base}/{_checked(name)}"

    def exists(self, name: str) -> bool:
        return bool(self._fs.exists(self._path(name) + _MANIFEST))

    def put(self, folder: Path, name: str, known: Mapping[str, str] | None = None) -> str:
        """Store a copy of `folder` under `name` and return its address; durable when this returns.

        The same content again is fine: nothing is written. On an object store, two writers that put
        different contents under one new name at the same moment are not kept apart; on a local disk
        the second is refused. With `known`, the sha256 of each file as they were just verified, `folder` is
        read once, to be copied: the copy is what is compared with them.

        Raises:
            ArtifactError: there is another content under this name, `folder` has no file, or it changed
                while it was copied; then nothing is stored.
        """
        manifest = dict(sorted(known.items())) if known else _manifest_of(folder)
        if self._local:
            target = Path(self._path(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.parent / ".lock"):
                if not self.exists(name):
                    _copy_durably(folder, target, manifest)
                    write_atomically(Path(self._path(name) + _MANIFEST), _as_json(manifest))
        elif not self.exists(name):
            for file in manifest:
                self._fs.makedirs(f"{self._path(name)}/{file}".rsplit("/", 1)[0], exist_ok=True)
                self._fs.put_file(str(folder / file), f"{self._path(name)}/{file}")
            # Objects without a manifest are no folder, and another writer's may be among them: they stay.
            _require_copied(folder, manifest, {file: self._sha256(name, file) for file in manifest})
            self._fs.pipe_file(self._path(name) + _MANIFEST, _as_json(manifest))
        self._require_same(str(folder), name, manifest)
        return self.uri(name)

    def fetch(self, name: str, into: Path) -> Path:
        """Copy the folder to the local path `into`, verify it and return `into`.

        When `into` is there already with the same content, nothing is copied.

        Raises:
            ArtifactError: there is no such folder, a file of it is not the one that was stored, or `into`
                holds something else.
        """
        manifest = self.manifest(name)
        if into.exists():
            if _manifest_of(into) != manifest:
                raise ArtifactError(
                    "the target holds something else",
                    where=str(into),
                    expected=f"nothing, or the content of {self.uri(name)}",
                    remedy="remove it, or fetch elsewhere",
                )
            return into
        temporary = into.with_name(f".{into.name}.{uuid.uuid4().hex}.tmp")
        try:
            for file in manifest:
                target = temporary / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # told below, with what else is wrong
                    self._fs.get_file(f"{self._path(name)}/{file}", str(target))
            self._require_intact(name, manifest, _digests_below(temporary))
            fsync_tree(temporary)
            temporary.rename(into)
            fsync_directory(into.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return into

    def copy(self, source: str, name: str) -> str:
        """Store the folder `source` of this lake under another name too; returns the new address.

        What is copied is what the manifest of `source` names, each file read once and verified.

        Raises:
            ArtifactError: there is no folder `source`, a file of it is not the one that was stored, or there
                is another content under `name`; then nothing is stored.
        """
        manifest = self.manifest(source)
        if self._local:
            target = Path(self._path(name))
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target.parent / ".lock"):
                if not self.exists(name):
                    self._copy_here(source, target, manifest)
                    write_atomically(Path(self._path(name) + _MANIFEST), _as_json(manifest))
        elif not self.exists(name):
            for file in manifest:
                with suppress(FileNotFoundError):
                    self._fs.copy(f"{self._path(source)}/{file}", f"{self._path(name)}/{file}")
            there = [file for file in manifest if self._fs.exists(f"{self._path(name)}/{file}")]
            self._require_intact(source, manifest, {file: self._sha256(name, file) for file in there})
            self._fs.pipe_file(self._path(name) + _MANIFEST, _as_json(manifest))
        self._require_same(self.uri(source), name, manifest)
        return self.uri(name)

    def _copy_here(self, source: str, target: Path, manifest: Mapping[str, str]) -> None:
        temporary = _beside(target)
        try:
            for file in manifest:
                (temporary / file).parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    shutil.copyfile(f"{self._path(source)}/{file}", temporary / file)
            self._require_intact(source, manifest, _digests_below(temporary))
            _take_place(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def manifest(self, name: str) -> dict[str, str]:
        """Relative file name -> sha256. Raises ArtifactError when there is no such folder."""
        try:
            with self._fs.open(self._path(name) + _MANIFEST, "rb") as file:
                content: dict[str, str] = json.loads(file.read())
        except FileNotFoundError as error:
            raise ArtifactError("no such folder in the lake", where=self.uri(name)) from error
        return content

    def read(self, name: str, file: str) -> bytes:
        """The content of one small file of a folder, verified.

        Raises:
            ArtifactError: there is no such folder or file, or the file is not the one that was stored.
            FileNotFoundError: the manifest names the file, and the file is gone.
        """
        manifest = self.manifest(name)
        if file not in manifest:
            raise ArtifactError(
                "no such file", where=self.uri(name), expected=", ".join(manifest), found=repr(file)
            )
        content: bytes = self._fs.cat_file(f"{self._path(name)}/{file}")
        found = hashlib.sha256(content).hexdigest()
        self._require_intact(name, {file: manifest[file]}, {file: found})
        return content

    def stored(self, prefix: str) -> list[Stored]:
        """The folders directly below `prefix`, by name; also what killed writers and removals left of one."""
        root = self._path(prefix)
        try:
            found = self._fs.find(root, detail=True)
        except FileNotFoundError:
            return []
        sizes: Counter[str] = Counter()
        for path, info in found.items():
            first = path.removeprefix(root).lstrip("/").partition("/")[0].removesuffix(_MANIFEST)
            if _NAME.fullmatch(first):  # hidden ones are not done yet
                sizes[first] += int(info.get("size") or 0)
        return [
            Stored(name := f"{prefix}/{first}", size, self._written_at(name))
            for first, size in sorted(sizes.items())
        ]

    def _written_at(self, name: str) -> datetime | None:
        try:
            found: datetime = self._fs.modified(self._path(name) + _MANIFEST)
        except (FileNotFoundError, NotImplementedError):
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def remove(self, name: str) -> None:
        """Remove a folder, or what is left of one; nothing happens when there is none.

        Without its manifest it is no folder any more: a removal that is killed leaves nothing that looks
        whole, and can be done again. Who reads it at this moment gets an error.
        """
        path = self._path(name)
        if self._local:
            folder = Path(path)
            if not folder.parent.is_dir():
                return
            with locked(folder.parent / ".lock"):
                Path(path + _MANIFEST).unlink(missing_ok=True)
                fsync_directory(folder.parent)
                reach("remove.after-manifest")
                if folder.exists():
                    folder.rename(passing := _beside(folder))
                    shutil.rmtree(passing)
            return
        if self.exists(name):
            self._fs.rm_file(path + _MANIFEST)
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._root}/{_checked(name)}"

    def _sha256(self, name: str, file: str) -> str:
        digest = hashlib.sha256()
        with self._fs.open(f"{self._path(name)}/{file}", "rb") as stored:
            while block := stored.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def _require_same(self, folder: str, name: str, manifest: Mapping[str, str]) -> None:
        stored = self.manifest(name)
        if stored != manifest:
            raise ArtifactError(
                "there is another content under this name; folders of the lake never change",
                where=self.uri(name),
                expected=_short(stored),
                found=f"{folder}: {_short(manifest)}",
                remedy="store it under a new name",
            )

    def _require_intact(self, name: str, stored: Mapping[str, str], found: Mapping[str, str]) -> None:
        damaged = sorted(file for file in stored if stored[file] != found.get(file))
        if damaged:
            raise ArtifactError(
                "files of this folder are not the ones that were stored",
                where=self.uri(name),
                expected=", ".join(f"{file} sha256 {stored[file][:12]}" for file in damaged),
                found=", ".join(str(found.get(file, "nothing"))[:12] for file in damaged),
                remedy="store it again under a new name, and find out who changed the lake",
            )


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            "not a name of a folder of the lake",
            expected="parts of letters, digits and . _ - joined by /, as in models/v3",
            found=repr(name),
        )
    return name


def _manifest_of(folder: Path) -> dict[str, str]:
    if not (found := _digests_below(folder)):
        raise ArtifactError("a folder without files cannot be stored", where=str(folder))
    return found


def _digests_below(folder: Path) -> dict[str, str]:
    """Relative name -> sha256 of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return dict(sorted((path.relative_to(folder).as_posix(), sha256_file(path)) for path in files))


def _require_copied(folder: Path, manifest: Mapping[str, str], copied: Mapping[str, str]) -> None:
    if changed := sorted({file for file, _ in manifest.items() ^ copied.items()}):
        raise ArtifactError(
            "the folder changed while it was copied; nothing was stored",
            where=str(folder),
            expected=", ".join(f"{file} sha256 {manifest.get(file, 'nothing')[:12]}" for file in changed),
            found=", ".join(copied.get(file, "nothing")[:12] for file in changed),
            remedy="store it again when nothing else writes into it",
        )


def _copy_durably(folder: Path, target: Path, manifest: Mapping[str, str]) -> None:
    temporary = _beside(target)
    try:
        shutil.copytree(folder, temporary)
        _require_copied(folder, manifest, _manifest_of(temporary))
        _take_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")


def _take_place(temporary: Path, target: Path) -> None:
    fsync_tree(temporary)
    if target.exists():  # without a manifest: left by a writer that was killed before it was stored
        shutil.rmtree(target)
    temporary.rename(target)
    fsync_directory(target.parent)


def _as_json(manifest: Mapping[str, str]) -> bytes:
    return json.dumps(manifest, sort_keys=True, indent=1).encode()


def _short(manifest: Mapping[str, str]) -> str:
    return ", ".join(f"{file} {digest[:12]}" for file, digest in manifest.items())
