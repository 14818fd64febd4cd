"""Which deliveries are others than those that were ingested, found without reading every one each time.

What a delivery looked like when its identity was taken is kept beside the scratch files of the day's ingest,
on this machine: times and numbers of files mean nothing on another. Lost notes cost a look at each delivery.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.records import Frozen
from lakeloop.settings import Settings
from lakeloop.sources.base import Delivery, Source
from lakeloop.sources.registry import open_source
from lakeloop.spec.loop import LoopSpec

log = logging.getLogger(__name__)


class Seen(Frozen):
    """A delivery as it was looked at."""

    glance: str
    """Taken before the identity: a change in between is seen the next time."""
    identity: str


def remember(loop: LoopSpec, settings: Settings, partition: str, seen: Seen) -> None:
    """Keep what was seen, so that the delivery need not be read while it looks the same."""
    try:
        write_atomically(_note(loop, settings, partition), seen.model_dump_json())
    except OSError as error:  # the next look is dearer
        log.debug("%s %s: what was seen of the delivery is not kept: %s", loop.name, partition, error)


def find(source: Source, loop: LoopSpec, settings: Settings, partition: str) -> Delivery | None:
    """The delivery of the day, with a note on what it looked like before it was read."""
    glance = source.glance(partition)
    delivery = source.find(partition)
    if delivery is not None and glance is not None:
        remember(loop, settings, partition, Seen(glance=glance, identity=delivery.identity))
    return delivery


def changed_days(
    loop: LoopSpec, settings: Settings, ingested: Mapping[str, str], seconds: float = math.inf
) -> list[str]:
    """The days whose delivery is another one than the one in `ingested` (day -> identity), oldest first.

    A delivery that looks as it did is not read. After `seconds` none is: days that would have to be are left
    to the next call. Empty when the source cannot be used as it is declared: ingest says why.
    """
    try:
        source = open_source(loop, settings)
    except ConfigurationError:
        return []
    deadline = time.monotonic() + seconds
    changed = []
    for day, identity in sorted(ingested.items()):
        found = _identity(source, loop, settings, day, look=time.monotonic() < deadline)
        if found and found != identity:
            changed.append(day)
    return changed


def _identity(source: Source, loop: LoopSpec, settings: Settings, day: str, *, look: bool) -> str:
    """The identity of the day's delivery; empty when there is none, or it is not known without a look."""
    if (glance := source.glance(day)) is None:
        return ""
    if (seen := _seen(loop, settings, day)) and seen.glance == glance:
        return seen.identity
    try:
        delivery = source.find(day) if look else None
    except LakeloopError:  # ingest says why
        return ""
    if delivery is None:
        return ""
    remember(loop, settings, day, Seen(glance=glance, identity=delivery.identity))
    return delivery.identity


def _seen(loop: LoopSpec, settings: Settings, day: str) -> Seen | None:
    try:
        return Seen.model_validate_json(_note(loop, settings, day).read_bytes())
    except (OSError, ValidationError):
        return None


def _note(loop: LoopSpec, settings: Settings, day: str) -> Path:
    return settings.work(loop.name, "ingest", day) / "seen.json"
