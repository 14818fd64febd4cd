"""Looking at all kinds, and removing what may go. Two who clean one home take turns."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from lakeloop.disk.base import FOREIGN, Item, Kind, Place
from lakeloop.disk.registry import KINDS
from lakeloop.errors import LakeloopError, TransientError
from lakeloop.locks import locked
from lakeloop.records import Frozen

log = logging.getLogger(__name__)

_LOCK = ".disk.lock"
_WAIT_SECONDS = 60.0


class Going(Frozen):
    """One thing that may go."""

    path: str
    bytes: int
    reason: str


class Counted(Frozen):
    """One kind, as it is on the disk."""

    kind: str
    owner: str
    what: str
    limit: str
    things: int = 0
    bytes: int = 0
    going: tuple[Going, ...] = ()
    """What would go now."""
    oldest: float | None = None
    """Seconds since the epoch: the last use of what was not used for longest."""
    trouble: str = ""
    """Why it could not be looked at or removed whole, said once."""

    @property
    def going_bytes(self) -> int:
        return sum(each.bytes for each in self.going)


class Freed(Frozen):
    """What a cleaning removed of one kind."""

    kind: str
    things: int = 0
    bytes: int = 0
    used: int = 0
    """Things that somebody began to use since they were looked at: they stayed."""
    trouble: str = ""
    """What could not be removed, and why, said once."""


def look(place: Place, *, shared: bool = True) -> list[Counted]:
    """Every kind that there is, in the order of the list; changes nothing.

    Args:
        place: where, and of which loops.
        shared: also what belongs to no loop.
    """
    return [_count(kind, place) for kind in KINDS if shared or not kind.shared]


def clean(place: Place, *, shared: bool = True) -> list[Freed]:
    """Remove what may go; kinds of which there is nothing to tell are left out. See `look`.

    Raises:
        TransientError: another process cleans for longer than a minute.
    """
    place.home.mkdir(parents=True, exist_ok=True)
    with locked(place.home / _LOCK, wait=_WAIT_SECONDS) as turn:
        if not turn:
            raise TransientError(
                "another process is cleaning this home",
                where=str(place.home),
                remedy="wait for it, then clean again",
            )
        freed = [_clean(kind, place) for kind in KINDS if shared or not kind.shared]
    return [each for each in freed if each.things or each.used or each.trouble]


def _clean(kind: Kind, place: Place) -> Freed:
    items, trouble = _items(kind, place)
    things = size = used = 0
    failed = _foreign(items, trouble)
    for item in _going(items):
        try:
            gone = item.remove()
        except _troubles() as error:
            failed.append(_words(item, error))
            continue
        if gone:
            log.info("disk: removed %s, %d bytes: %s", item.path, item.extent.bytes, item.reason)
        things, size, used = things + gone, size + item.extent.bytes * gone, used + (not gone)
    return Freed(kind=kind.name, things=things, bytes=size, used=used, trouble=_once(failed))


def _items(kind: Kind, place: Place) -> tuple[list[Item], str]:
    """What there is, and why that may not be all."""
    found: list[Item] = []
    try:
        found.extend(kind.look(place))
    except _troubles() as error:
        return found, f"it could not be looked at whole: {_first(error)}"
    return found, ""


def _troubles() -> tuple[type[Exception], ...]:
    """What one kind may raise, which keeps no other one from being cleaned."""
    from deltalake.exceptions import DeltaError

    return (OSError, LakeloopError, DeltaError)


def _going(items: Sequence[Item]) -> Iterator[Item]:
    return (item for item in items if not item.needed and not item.extent.foreign)


def _count(kind: Kind, place: Place) -> Counted:
    items, trouble = _items(kind, place)
    return Counted(
        kind=kind.name,
        owner=kind.owner,
        what=kind.what,
        limit=kind.limit(place.limits),
        things=len(items),
        bytes=sum(item.extent.bytes for item in items),
        going=tuple(
            Going(path=str(item.path), bytes=item.extent.bytes, reason=item.reason) for item in _going(items)
        ),
        oldest=min((item.extent.newest for item in items if item.extent.newest), default=None),
        trouble=_once(_foreign(items, trouble)),
    )


def _foreign(items: Sequence[Item], trouble: str) -> list[str]:
    """What keeps things that may go from going, as far as it is known by looking at them."""
    foreign = [f"{item.path}: {FOREIGN}" for item in items if item.extent.foreign and not item.needed]
    return [*([trouble] if trouble else []), *foreign]


def _words(item: Item, error: Exception) -> str:
    return f"{item.path} cannot be removed: {_first(error)}"


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _once(failed: Sequence[str]) -> str:
    more = f" ({len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{failed[0]}{more}" if failed else ""
