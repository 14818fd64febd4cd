"""What the moments of a column leave open: which number is the month, and in which zone they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lakeloop.proposal.either import first, other_format, read
from lakeloop.spec.columns import ColumnSection
from lakeloop.spec.time_format import EPOCHS

_FAR_AWAY = "Asia/Tokyo"


def doubts(values: Sequence[Any], section: ColumnSection, why: str = "") -> list[str]:
    """What a person who knows the data should say of a column with these values.

    `why` is what told month and day apart, see `either.settled`.
    """
    if section.type not in ("timestamp", "date"):
        return []
    texts = [value.strip() for value in values if isinstance(value, str)]
    found = []
    if other := other_format(texts, section):
        taken = f"taken as {first(section.format or '')}"
        found.append(
            f"no day above 12: {taken}, for {why}; or format: {other}?"
            if why
            else f"no day above 12: month and day may be the other way round; or format: {other}?"
            f" Nothing tells: {taken}"
        )
    if section.type == "timestamp" and section.zone is None and _any_without_zone(values, section):
        found.append("no zone in it: taken as UTC; zone: says another")
    return found


def _any_without_zone(values: Sequence[Any], section: ColumnSection) -> bool:
    if section.format in EPOCHS:
        return False
    there = section.model_copy(update={"zone": _FAR_AWAY})
    return any(
        # What is another moment elsewhere says no zone, however it is written.
        read(value.strip(), section) != read(value.strip(), there)
        if isinstance(value, str)
        else isinstance(value, datetime) and value.tzinfo is None
        for value in values
    )
