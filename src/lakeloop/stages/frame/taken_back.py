"""Corrections that a person takes back: their records are read as they were delivered again."""

from __future__ import annotations

from collections.abc import Sequence

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.lake.corrections import Correction, Numbered, all_corrections
from lakeloop.records import now
from lakeloop.sources.registry import open_source
from lakeloop.stages.frame.session import StageContext


def take_back(context: StageContext, numbers: Sequence[int], why: str, by: str) -> list[Correction]:
    """What takes back the corrections of these `numbers`, without keeping anything.

    Raises:
        ConfigurationError: there is no correction of such a number, or it counts no more.
        DataError: the delivery of its day is gone; what the lake has of it is what was made of the record.
    """
    where = f"{context.loop.name} corrections"
    known = {each.number: each for each in all_corrections(context.lake)}
    source, made = open_source(context.loop, context.settings), []
    for number in numbers:
        if reason := _nothing_in(known.get(number)):
            raise ConfigurationError(
                f"there is nothing to take back in correction {number}",
                where=where,
                expected="the number of one that counts",
                found=reason,
                remedy=f"lakeloop corrections {context.loop.name} lists them",
            )
        one = known[number].correction
        if source.find(one.partition) is None:
            raise DataError(
                f"correction {number} cannot be taken back: the record as it was delivered is gone",
                where=where,
                expected=f"the delivery of {one.partition}",
                found=source.absence(one.partition),
                remedy="put it there; nothing was changed",
            )
        said = {"record": None, "taken_back": True, "why": why, "corrected_by": by, "corrected_at": now()}
        made.append(one.model_copy(update=said))
    return made


def _nothing_in(found: Numbered | None) -> str:
    """Why there is nothing to take back; empty where there is."""
    if found is None:
        return "no correction of this number"
    if not found.counts:
        return "a newer one of the same record"
    return "one that takes another back" if found.correction.taken_back else ""
