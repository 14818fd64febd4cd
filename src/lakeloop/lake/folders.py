"""What a place for folders does, whatever it is made of; see `files` for what folders are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from lakeloop.durable import sha256_file
from lakeloop.errors import ArtifactError

MANIFEST = ".manifest.json"
"""What the name of a folder ends with where its manifest is."""

Intact = Callable[[Mapping[str, str]], None]
"""Given the sha256 of each file as it was read, raises ArtifactError where a manifest says others."""


@dataclass(frozen=True)
class Stored:
    """A folder of the lake, whole or what is left of one."""

    name: str
    bytes: int
    written_at: datetime | None
    """When it became whole; None when it is not, or the store does not tell."""


@dataclass(frozen=True)
class Found:
    """A folder that is whole."""

    files: Mapping[str, str]
    """Relative name -> sha256."""
    at: str
    """Where its files are."""


class Folders(Protocol):
    """Folders by names, such as `models/v3`, which are checked already."""

    def exists(self, name: str) -> bool: ...

    def find(self, name: str) -> Found | None: ...

    def put(self, folder: Path, name: str, manifest: Mapping[str, str]) -> None:
        """Store a copy of `folder`, unless there is a folder of this name; durable when this returns.

        Of writers that do so at once one's copy is stored, and it is whole.

        Raises:
            ArtifactError: what was copied is not what the manifest says; nothing is stored.
        """

    def copy(self, source: Found, name: str, intact: Intact) -> None:
        """As `put`, of a folder of this place; each of its files is read once."""

    def get(self, found: Found, file: str, target: Path) -> None:
        """Copy one file; raises FileNotFoundError when it is gone."""

    def read(self, found: Found, file: str) -> bytes: ...

    def stored(self, prefix: str) -> list[Stored]: ...

    def remove(self, name: str) -> None: ...

    def remove_leftovers(self, age: timedelta) -> list[str]:
        """Delete what killed writers left longer ago than `age`; their names."""


def require_copied(folder: Path, manifest: Mapping[str, str], copied: Mapping[str, str]) -> None:
    """Raises ArtifactError when `copied`, name -> sha256, is not what `manifest` says of `folder`."""
    if changed := sorted({file for file, _ in manifest.items() ^ copied.items()}):
        raise ArtifactError(
            "the folder changed while it was copied; nothing was stored",
            where=str(folder),
            expected=", ".join(f"{file} sha256 {manifest.get(file, 'nothing')[:12]}" for file in changed),
            found=", ".join(copied.get(file, "nothing")[:12] for file in changed),
            remedy="store it again when nothing else writes into it",
        )


def as_json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, indent=1).encode()


def digests_below(folder: Path) -> dict[str, str]:
    """Relative name -> sha256 of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return dict(sorted((path.relative_to(folder).as_posix(), sha256_file(path)) for path in files))
