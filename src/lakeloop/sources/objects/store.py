"""One bucket: what lies in it, and one file of it fetched in parts; errors with a reason and no secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lakeloop.errors import ConfigurationError, LakeloopError, ServiceError, TransientError
from lakeloop.object_store import Fault, fault_in, open_store, parts_of_object
from lakeloop.sources.objects.credentials import VARIABLES, Access
from lakeloop.spec.address import parts_of

_MOST_OBJECTS = 1_000_000
_NOT_LET_IN = {Fault.NO_BUCKET, Fault.REFUSED, Fault.NO_CREDENTIALS}


@dataclass(frozen=True)
class StoredFile:
    """A file as the store lists it."""

    path: str
    """In its bucket."""
    size: int
    tag: str
    """The store's own mark of its content; another content has another."""
    changed: datetime

    @property
    def state(self) -> str:
        """What tells one content of the file from another."""
        return f"{self.size} {self.tag or self.changed.isoformat()}"


class Bucket:
    """The bucket of an address.

    Raises:
        ConfigurationError: the client is not installed, or does not take what it is given.
    """

    def __init__(self, address: str, access: Access) -> None:
        scheme, bucket, _ = parts_of(address)
        self.root = f"{scheme}://{bucket}"
        self._access = access
        self._client, self._store = open_store(self.root, access.options, plain=access.plain)

    def file(self, path: str) -> StoredFile | None:
        """The file at `path`; None when there is none."""
        with self._told(path):
            try:
                return _stored(self._client.head(self._store, path))
            except FileNotFoundError:
                return None

    def below(self, folder: str, *, deep: bool) -> list[StoredFile]:
        """The files in a folder, and with `deep` in those below it.

        Raises:
            ConfigurationError: there are too many, no such bucket, or the store lets nobody in.
            ServiceError: the store is away.
        """
        found: list[StoredFile] = []
        with self._told(folder):
            if not deep:
                listed = self._client.list_with_delimiter(self._store, folder or None)
                return [_stored(each) for each in listed["objects"]]
            for some in self._client.list(self._store, folder or None):
                found += map(_stored, some)
                if len(found) > _MOST_OBJECTS:
                    raise ConfigurationError(
                        "too many files to look through",
                        where=f"{self.root}/{folder}",
                        expected=f"at most {_MOST_OBJECTS}",
                        remedy="say more of the path in source.path",
                    )
        return found

    def fetch(self, file: StoredFile, target: Path, most: int | None = None) -> None:
        """Write the file, or the first `most` bytes of it, to `target`.

        Raises:
            TransientError: it is another by now.
            ConfigurationError: the store lets nobody in.
            ServiceError: the store is away.
        """
        size = file.size if most is None else min(most, file.size)
        with self._told(file.path), target.open("wb") as out:
            for part in parts_of_object(self._client, self._store, file.path, size, file.tag):
                out.write(part)

    @contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Errors of the client as ours."""
        from obstore import exceptions

        try:
            yield
        except LakeloopError:
            raise
        except (exceptions.BaseError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise  # of this machine's disk
            raise self._error(error, f"{self.root}/{path}") from None

    def _error(self, error: Exception, where: str) -> LakeloopError:
        from obstore import exceptions

        fault, found = fault_in(error), self._access.hide(str(error))
        other = isinstance(error, exceptions.PreconditionError | FileNotFoundError)
        if other and fault is not Fault.NO_BUCKET:
            return TransientError(
                "the file changed while it was read",
                where=where,
                expected="the file that was listed",
                found=found,
                remedy="nothing was published; this runs again",
            )
        denied = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
        if denied or fault in _NOT_LET_IN:
            return ConfigurationError(
                "the store does not let us in",
                where=where,
                expected="credentials that may list and read this bucket",
                found=found,
                remedy="name a connection in source.connection, or set the store's own variables"
                f" ({VARIABLES[parts_of(where)[0]]})",
            )
        return ServiceError(
            "the store does not answer",
            where=where,
            expected="a store that can be reached from here",
            found=found,
            remedy="nothing was published; is its endpoint right? It is tried again",
        )


def _stored(found: Any) -> StoredFile:
    return StoredFile(found["path"], found["size"], found.get("e_tag") or "", found["last_modified"])
