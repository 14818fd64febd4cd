"""Source `http`: the records that an API has of a day, fetched once into a file of JSON lines.

The file lies in `<home>/fetched/<loop>/` under the day and its sha256, so that a day that is fetched again
while its rows are read disturbs nobody. It is not needed any more once the day is published.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from lakeloop.durable import fsync_directory, sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.http.client import Client
from lakeloop.sources.http.pages import lines_of
from lakeloop.sources.http.words import asked
from lakeloop.spec.days import yesterday
from lakeloop.spec.http import HttpSource
from lakeloop.spec.loop import LoopSpec

_KEPT = 64
"""Fetched days that are kept, the newest first."""
_UNFINISHED = ".unfinished-"
_ABANDONED_SECONDS = 86_400
_NAMED = 32
"""Characters of a sha256 in the name of a file."""


def require_private(source: HttpSource, settings: Settings) -> None:
    """Refuse to ask over a network unencrypted.

    Raises:
        ConfigurationError: the url is http, to another machine, and the installation does not allow it.
    """
    if source.is_plain and source.host not in settings.plain_http_hosts:
        raise ConfigurationError(
            "what is sent and read would be open to the network",
            where="source.url",
            expected="https; or http to this machine, or to a host of LAKELOOP_PLAIN_HTTP_HOSTS",
            found=f"http://{source.host}",
        )


class ApiDays:
    """The days of an API, from `source.start` on.

    Raises:
        ConfigurationError: the url is http, to another machine, and the installation does not allow it.
    """

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, HttpSource)
        self._source = loop.source
        self._zone = loop.schedule.timezone
        self._folder = settings.home / "fetched" / loop.name
        self.place = self._source.url
        require_private(self._source, settings)

    def find(self, partition: str) -> FileDelivery | None:
        """Fetch the records of the day; None when the API has none.

        Raises:
            ConfigurationError: the API refuses the request, or its answers are not as the loop file says.
            DataError: an answer is no JSON, or too large, or there are too many.
            TransientError: the API cannot be had, or what it has changes while it is asked.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with Client(self._source, asked(self._source, partition, self._zone)) as client:
            digest, records = self._write(lines_of(self._source, client), partition)
        self._note(partition, empty=not records)
        self._forget()
        return self._delivery(partition, digest) if records else None

    def kept(self, partition: str, identity: str) -> FileDelivery | None:
        """The delivery of the day as it was fetched before, by its identity, without asking the API."""
        digest = identity.removeprefix("sha256:")
        delivery = self._delivery(partition, digest)
        try:
            return delivery if sha256_file(delivery.path) == digest else None
        except OSError:
            return None

    def glance(self, partition: str) -> str | None:  # noqa: ARG002 - other sources need it
        """None: nothing tells that a day is another but to fetch it."""
        return None

    def unread_bytes(self) -> None:
        """None: a day is fetched whole, and that is for ingest to do."""

    def absence(self, partition: str) -> str:
        return f"no records of {partition} at {self.place}"

    def partitions(self) -> list[str]:
        """The days from `source.start` to yesterday; without those that stayed empty for `late_days`."""
        first, last = self._source.start, date.fromisoformat(yesterday(self._zone))
        days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
        return [day for day in days if not self._empty(day).exists()]

    def _write(self, lines: Iterable[bytes], day: str) -> tuple[str, int]:
        """The sha256 of the file with `lines`, and how many these are; without any, there is no file."""
        digest, records = hashlib.sha256(), 0
        handle, name = tempfile.mkstemp(prefix=f"{_UNFINISHED}{day}-", dir=self._folder)
        work = Path(name)
        try:
            with os.fdopen(handle, "wb", buffering=1 << 20) as file:
                for line in lines:
                    file.write(line)
                    digest.update(line)
                    records += 1
                file.flush()
                os.fsync(file.fileno())
            if records:
                work.replace(self._file(day, digest.hexdigest()))
                fsync_directory(self._folder)
        finally:
            work.unlink(missing_ok=True)
        return digest.hexdigest(), records

    def _delivery(self, day: str, digest: str) -> FileDelivery:
        return FileDelivery(self._file(day, digest), digest, f"{self.place} {day}", self._source)

    def _file(self, day: str, digest: str) -> Path:
        return self._folder / f"{day}.{digest[:_NAMED]}.jsonl"

    def _empty(self, day: str) -> Path:
        return self._folder / f"{day}.empty"

    def _note(self, day: str, *, empty: bool) -> None:
        """Remember that a day is empty and will stay so."""
        newest = date.fromisoformat(yesterday(self._zone))
        if empty and (newest - date.fromisoformat(day)).days >= self._source.late_days:
            self._empty(day).touch()
        else:
            self._empty(day).unlink(missing_ok=True)

    def _forget(self) -> None:
        """Remove what is not needed any more: the oldest files, and what killed processes left."""
        for file in self._folder.glob(f"{_UNFINISHED}*"):
            if time.time() - _fetched_at(file) > _ABANDONED_SECONDS:
                file.unlink(missing_ok=True)
        fetched = sorted(self._folder.glob("*.jsonl"), key=_fetched_at, reverse=True)
        for file in fetched[_KEPT:]:
            file.unlink(missing_ok=True)


def _fetched_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another process was faster
        return 0.0
