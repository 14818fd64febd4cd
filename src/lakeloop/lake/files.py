"""Folders of the lake: model versions, frozen data sets; immutable, and verified when they are fetched.

A folder is there when its manifest is, and the manifest (name -> sha256 of each file) is written last. Rows
belong in tables (`store`); scratch files belong in the work folder of a stage. What a place does is in
`disk_folders` and `object_folders`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

from lakeloop.durable import fsync_directory, fsync_tree
from lakeloop.errors import ArtifactError, ConfigurationError
from lakeloop.lake.disk_folders import DiskFolders
from lakeloop.lake.folders import Folders, Found, Stored, digests_below
from lakeloop.lake.object_folders import ObjectFolders
from lakeloop.lake.remote import local_path, remote_of

__all__ = ["LakeFiles", "Stored"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class LakeFiles:
    """Folders below one path or URI, by names such as `models/v3`.

    Raises:
        ConfigurationError: the client of the storage is not installed, or the address or an option is none;
            in all methods, a name is none.
        ServiceError: in all methods, the object store is away.
    """

    def __init__(self, base: str, storage_options: Mapping[str, str] | None = None) -> None:
        remote, folder = remote_of(base, storage_options), local_path(base)
        self._base = remote.base if remote else str(folder)
        self._folders: Folders = ObjectFolders(remote) if remote else DiskFolders(Path(self._base))

    def uri(self, name: str) -> str:
        """Address of a folder, there or not."""
        return f"{self._base}/{_checked(name)}"

    def exists(self, name: str) -> bool:
        return self._folders.exists(_checked(name))

    def put(self, folder: Path, name: str, known: Mapping[str, str] | None = None) -> str:
        """Store a copy of `folder` under `name` and return its address; durable when this returns.

        The same content again is fine: nothing is written. Of two writers that put different contents under
        one new name at the same moment the second is refused. With `known`, the sha256 of each file as they
        were just verified, `folder` is read once, to be copied: the copy is what is compared with them.

        Raises:
            ArtifactError: there is another content under this name, `folder` has no file, or it changed
                while it was copied; then nothing is stored.
        """
        manifest = dict(sorted(known.items())) if known else _manifest_of(folder)
        self._folders.put(folder, _checked(name), manifest)
        self._require_same(str(folder), name, manifest)
        return self.uri(name)

    def fetch(self, name: str, into: Path) -> Path:
        """Copy the folder to the local path `into`, verify it and return `into`.

        When `into` is there already with the same content, nothing is copied.

        Raises:
            ArtifactError: there is no such folder, a file of it is not the one that was stored, or `into`
                holds something else.
        """
        found = self._found(name)
        if into.exists():
            if _manifest_of(into) != found.files:
                raise ArtifactError(
                    "the target holds something else",
                    where=str(into),
                    expected=f"nothing, or the content of {self.uri(name)}",
                    remedy="remove it, or fetch elsewhere",
                )
            return into
        temporary = into.with_name(f".{into.name}.{uuid.uuid4().hex}.tmp")
        try:
            for file in found.files:
                target = temporary / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # told below, with what else is wrong
                    self._folders.get(found, file, target)
            self._require_intact(name, found.files, digests_below(temporary))
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
        found = self._found(source)
        intact = partial(self._require_intact, source, found.files)
        self._folders.copy(found, _checked(name), intact)
        self._require_same(self.uri(source), name, found.files)
        return self.uri(name)

    def manifest(self, name: str) -> dict[str, str]:
        """Relative file name -> sha256. Raises ArtifactError when there is no such folder."""
        return dict(self._found(name).files)

    def _found(self, name: str) -> Found:
        if (found := self._folders.find(_checked(name))) is None:
            raise ArtifactError("no such folder in the lake", where=self.uri(name))
        return found

    def read(self, name: str, file: str) -> bytes:
        """The content of one small file of a folder, verified.

        Raises:
            ArtifactError: there is no such folder or file, or the file is not the one that was stored.
            FileNotFoundError: the manifest names the file, and the file is gone.
        """
        found = self._found(name)
        if file not in found.files:
            raise ArtifactError(
                "no such file", where=self.uri(name), expected=", ".join(found.files), found=repr(file)
            )
        content = self._folders.read(found, file)
        read = hashlib.sha256(content).hexdigest()
        self._require_intact(name, {file: found.files[file]}, {file: read})
        return content

    def stored(self, prefix: str) -> list[Stored]:
        """The folders directly below `prefix`, by name; also what killed writers and removals left of one."""
        return self._folders.stored(_checked(prefix))

    def remove(self, name: str) -> None:
        """Remove a folder, or what is left of one; nothing happens when there is none.

        Without its manifest it is no folder any more: a removal that is killed leaves nothing that looks
        whole, and can be done again. Who reads it at this moment gets an error.
        """
        self._folders.remove(_checked(name))

    def remove_leftovers(self, age: timedelta) -> list[str]:
        """Delete what writers that were killed left longer ago than `age`; returns the names."""
        return self._folders.remove_leftovers(age)

    def _require_same(self, folder: str, name: str, manifest: Mapping[str, str]) -> None:
        stored = self._found(name).files
        if dict(stored) != dict(manifest):
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
    if not (found := digests_below(folder)):
        raise ArtifactError("a folder without files cannot be stored", where=str(folder))
    return found


def _short(manifest: Mapping[str, str]) -> str:
    return ", ".join(f"{file} {digest[:12]}" for file, digest in manifest.items())
