"""One bucket: what lies in it, and one file of it fetched in parts; errors with a reason and no secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lakeloop.errors import ConfigurationError, LakeloopError, ServiceError, TransientError
from lakeloop.extras import not_installed
from lakeloop.sources.objects.credentials import VARIABLES, Access
from lakeloop.spec.address import parts_of

_PART_BYTES = 16 << 20
_MOST_OBJECTS = 1_000_000
_PATIENCE = timedelta(seconds=60)
_PART_TIMEOUT = "300s"
_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
_REFUSED = re.compile(
    r"\b40[013] |AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|AuthenticationFailed"
)
_NOWHERE = re.compile(r"metadata|169\.254|missing credentials|account must be specified", re.IGNORECASE)
"""Without credentials, a client looks for those of a machine in a cloud."""


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
        try:
            import obstore
            from obstore.store import from_url
        except ImportError as error:
            raise not_installed("object stores", "obstore", "stores", where=self.root, error=error) from error
        self._client: Any = obstore
        made: Any = from_url
        limits = {"allow_http": access.plain, "timeout": _PART_TIMEOUT, "connect_timeout": "10s"}
        again = {"max_retries": 5, "retry_timeout": _PATIENCE}
        with self._told(""):
            self._store = made(
                self.root, config=dict(access.options), client_options=limits, retry_config=again
            )

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
            for start in range(0, size, _PART_BYTES):
                options: dict[str, Any] = {"range": (start, min(start + _PART_BYTES, size))}
                if file.tag:
                    options["if_match"] = file.tag
                out.write(self._client.get(self._store, file.path, options=options).bytes())

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

        said, found = str(error), self._access.hide(str(error))
        other = isinstance(error, exceptions.PreconditionError | FileNotFoundError)
        if other and not _NO_BUCKET.search(said):
            return TransientError(
                "the file changed while it was read",
                where=where,
                expected="the file that was listed",
                found=found,
                remedy="nothing was published; this runs again",
            )
        denied = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
        if denied or _NO_BUCKET.search(said) or _REFUSED.search(said) or _NOWHERE.search(said):
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
