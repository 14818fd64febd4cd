"""Does a store keep put-if-absent? Of many writers that put one new name at once, one may win.

Everything on a lake that must happen once rests on it: the commits of tables, and the names of folders.
Stores that look first and write then, or pass over `If-None-Match`, lose rows without an error; so each is
tried before it is used, and what was found is kept beside the loops, one file for each endpoint.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from lakeloop.errors import ConfigurationError
from lakeloop.lake.remote import Remote
from lakeloop.records import now

WRITERS = 64
ROUNDS = 200
FIRST_ROUNDS = 20
"""Of the probe that a store gets when it is used for the first time."""
_BESIDE = ".lakeloop"
"""Beside the folders of the loops, whose names begin with a letter."""


@dataclass(frozen=True)
class Probe:
    """What came of some rounds, in each of which all writers put one new name at once."""

    writers: int
    rounds: int
    none: int = 0
    """Rounds in which no writer was told that it won."""
    several: int = 0
    """Rounds in which more than one was."""
    overwritten: int = 0
    """Rounds with one winner, whose object is not the one that is there."""
    said: str = ""
    """By the store, to a writer that it refused for another reason than that the name is taken."""
    at: str = ""
    """When."""

    @property
    def passed(self) -> bool:
        return not (self.none or self.several or self.overwritten)

    @property
    def counts(self) -> str:
        """The counts in words."""
        won = self.rounds - self.none - self.several - self.overwritten
        told = f"{self.writers} writers x {self.rounds} rounds: one winner in {won}"
        bad = {"several": self.several, "none": self.none, "one that was overwritten": self.overwritten}
        return ", ".join([told, *(f"{words} in {count}" for words, count in bad.items() if count)])


def try_store(remote: Remote, writers: int = WRITERS, rounds: int = ROUNDS) -> Probe:
    """Try the store at `remote`; what was put for it is deleted again.

    Raises:
        ConfigurationError: the store lets nobody in.
        ServiceError: it is away.
    """
    client, store = remote.folders()
    folder = f"{_BESIDE}/probe/{uuid.uuid4().hex}"
    found = {"none": 0, "several": 0, "overwritten": 0}
    said: list[str] = []
    with remote.told(), ThreadPoolExecutor(writers) as pool:
        together = threading.Barrier(writers)

        def put(path: str, writer: int) -> int | None:
            together.wait()
            try:
                client.put(store, path, str(writer).encode(), mode="create")
            except client.exceptions.AlreadyExistsError:
                return None
            except client.exceptions.NotSupportedError as error:
                said.append(remote.hidden(error))
                return None
            except client.exceptions.GenericError as error:
                remote.require_there(error)
                said.append(remote.hidden(error))
                return None
            return writer

        paths = [f"{folder}/{number}" for number in range(rounds)]
        for path in paths:
            told = [won for won in pool.map(put, [path] * writers, range(writers)) if won is not None]
            if len(told) != 1:
                found["several" if told else "none"] += 1
            elif client.get(store, path).bytes().to_bytes() != str(told[0]).encode():
                found["overwritten"] += 1
        client.delete(store, paths)
    at = now().isoformat(timespec="seconds")
    return Probe(writers, rounds, **found, said=said[0] if said else "", at=at)


def remember(remote: Remote, probe: Probe) -> None:
    """Keep what was found on the store itself, for all who use this lake."""
    client, store = remote.folders()
    with remote.told():
        client.put(store, _kept(remote), json.dumps(asdict(probe)).encode())


def recall(remote: Remote) -> Probe | None:
    """What was found of the store last; None when nobody has tried it."""
    client, store = remote.folders()
    try:
        with remote.told():
            content: Mapping[str, Any] = json.loads(client.get(store, _kept(remote)).bytes().to_bytes())
    except FileNotFoundError as error:
        remote.require_there(error)
        return None
    return Probe(**content)


def require_kept(remote: Remote | None) -> None:
    """Require that the store, if it is one, keeps put-if-absent; who is first tries it, in some seconds.

    Raises:
        ConfigurationError: it did not, or lets nobody in.
        ServiceError: it is away.
    """
    if remote is None or (place := (remote.base, remote.endpoint)) in _PASSED:
        return
    if (probe := recall(remote)) is None:
        probe = try_store(remote, rounds=FIRST_ROUNDS)
        remember(remote, probe)
    if not probe.passed:
        raise refusal(remote, probe)
    _PASSED.add(place)


_PASSED: set[tuple[str, str]] = set()
"""Stores that this process need not ask again."""


def refusal(remote: Remote, probe: Probe) -> ConfigurationError:
    """The error for a store that lets several writers win, or none."""
    return ConfigurationError(
        "this store does not keep put-if-absent: rows would be lost or doubled, and nothing would say so",
        where=remote.base,
        expected="of writers that put one new name at once (If-None-Match: *) exactly one wins",
        found=probe.counts + (f"; it said: {probe.said}" if probe.said else ""),
        remedy="use a store that keeps it, or a version that does; then lakeloop doctor tries it anew",
    )


def _kept(remote: Remote) -> str:
    endpoint = hashlib.sha256(remote.endpoint.encode()).hexdigest()[:12]
    return f"{_BESIDE}/store-{endpoint}.json"
