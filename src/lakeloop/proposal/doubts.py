"""What the moments of a column leave open: which number is the month, and in which zone they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lakeloop.sources.values import Value, parse
from lakeloop.spec.columns import ColumnSection
from lakeloop.spec.time_format import EPOCHS

_EITHER = re.compile(r"%([md])([/-])%([md])(?=\2%[yY])")
"""Month and day that are told apart by their place alone; with dots the day comes first everywhere."""
_FAR_AWAY = "Asia/Tokyo"


def doubts(values: Sequence[Any], section: ColumnSection) -> list[str]:
    """What a person who knows the data should say of a column with these values."""
    if section.type not in ("timestamp", "date"):
        return []
    texts = [value.strip() for value in values if isinstance(value, str)]
    found = []
    if other := _other_format(texts, section):
        found.append(f"no day above 12: month and day may be the other way round; or format: {other}?")
    if section.type == "timestamp" and section.zone is None and _any_without_zone(values, section):
        found.append("no zone in it: taken as UTC; zone: says another")
    return found


def _other_format(texts: Sequence[str], section: ColumnSection) -> str:
    """The format with month and day the other way round, where all texts are of it as well; else empty."""
    other = _EITHER.sub(r"%\3\2%\1", section.format or "")
    if other == (section.format or "") or not texts:
        return ""
    swapped = ColumnSection(type=section.type, format=other)
    fitting = [text for text in texts if _read(text, section) is not None]
    return other if all(_read(text, swapped) is not None for text in fitting) else ""


def _any_without_zone(values: Sequence[Any], section: ColumnSection) -> bool:
    if section.format in EPOCHS:
        return False
    there = section.model_copy(update={"zone": _FAR_AWAY})
    return any(
        # What is another moment elsewhere says no zone, however it is written.
        _read(value.strip(), section) != _read(value.strip(), there)
        if isinstance(value, str)
        else isinstance(value, datetime) and value.tzinfo is None
        for value in values
    )


def _read(text: str, section: ColumnSection) -> Value | None:
    try:
        return parse(text, section.type, section.named("x").moments)
    except ValueError:
        return None
