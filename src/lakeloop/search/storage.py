"""Where studies are kept, so that workers share them and outlive each other: a file, or PostgreSQL.

A file serves the processes of one host, or of several with one home. Its lock is the kernel's: what a killed
worker held is free at once, where Optuna's own lock of files would keep the others waiting for 30 s.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.locks import take
from lakeloop.settings import Settings

_LOCK_SECONDS = 60.0
_DRIVER = "postgresql+psycopg"
_MAKING_TABLES = 0x1A3E
"""Names the lock of the database under which its tables are made."""


class _KernelLock(BaseJournalFileLock):
    """Of one storage object; two of a process keep each other out, too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self) -> bool:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not take(descriptor, seconds=_LOCK_SECONDS):
            os.close(descriptor)
            raise TransientError("the file of a search is locked", where=str(self._path))
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


def open_storage(settings: Settings, loop: str) -> BaseStorage:
    """The storage that has the studies of a loop: the database of `LAKELOOP_STUDIES`, or a file of the home.

    Raises:
        ConfigurationError: the database is none of PostgreSQL, or its driver is not installed.
        TransientError: the database does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if settings.studies is not None:
        return _database(settings.studies.get_secret_value())
    folder = settings.home / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{loop}.journal"
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_KernelLock(path.with_suffix(".lock"))))


def _database(address: str) -> BaseStorage:
    where = "LAKELOOP_STUDIES"
    if not re.match(r"postgres(ql)?://", address):
        raise ConfigurationError("not an address of PostgreSQL", where=where, expected="postgresql://…")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "the driver of PostgreSQL is not installed",
            where=where,
            expected="psycopg",
            remedy="pip install 'lakeloop[studies]'",
        ) from None
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError

    url = f"{_DRIVER}://{address.partition('://')[2]}"
    try:
        with create_engine(url).connect() as connection:
            # Two workers that make the tables at once fail. The lock ends with the connection.
            connection.execute(text(f"SELECT pg_advisory_lock({_MAKING_TABLES})"))
            # A connection that the server has closed meanwhile is noticed before it is used.
            storage = RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
            connection.execute(text(f"SELECT pg_advisory_unlock({_MAKING_TABLES})"))
    except OperationalError as error:
        reason = str(error.orig).splitlines()[0] if error.orig else type(error).__name__
        raise TransientError("the database of studies does not answer", where=where, found=reason) from None
    else:
        return storage
