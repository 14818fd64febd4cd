"""Which number of a date is the month, where no day is above 12: by what else there is, or not at all."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from lakeloop.sources.values import Value, parse
from lakeloop.spec.columns import ColumnSection

_EITHER = re.compile(r"%([md])([/-])%([md])(?=\2%[yY])")
"""Month and day that are told apart by their place alone; with dots the day comes first everywhere."""
_NAMED = re.compile(r"(?<!\d)(20\d\d)[-_]?(0[1-9]|1[0-2])(?:[-_]?(0[1-9]|[12]\d|3[01]))?(?!\d)")
_PARTS_OF_A_PATH = 3
_AROUND = timedelta(days=2)
_MOST, _LITTLE = 0.8, 0.5
"""Shares of days that lie where the names of the files say, under the right reading and the wrong one."""
_FEWEST_DAYS = 3
_NEXT_DAYS, _FAR_DAYS = 3, 10
"""Days between one day and the next, under the right reading and the wrong one."""


def named_days(paths: Sequence[Path]) -> tuple[date, ...]:
    """The days, and the first days of months, that names of files and of their folders say."""
    found = set()
    for path in paths:
        for year, month, day in _NAMED.findall("/".join(path.parts[-_PARTS_OF_A_PATH:])):
            try:
                found.add(date(int(year), int(month), int(day or 1)))
            except ValueError:
                continue
    return tuple(sorted(found))


def other_format(texts: Sequence[str], section: ColumnSection) -> str:
    """The format with month and day the other way round, where all texts are of it as well; else empty."""
    other = _EITHER.sub(r"%\3\2%\1", section.format or "")
    if other == (section.format or "") or not texts:
        return ""
    swapped = section.model_copy(update={"format": other})
    fitting = [text for text in texts if read(text, section) is not None]
    return other if all(read(text, swapped) is not None for text in fitting) else ""


def sure_format(values: Sequence[Any], section: ColumnSection) -> str:
    """The format of a column whose days say which number is the month; else empty."""
    texts = [value.strip() for value in values if isinstance(value, str)]
    sure = section.format and _EITHER.search(section.format) and not other_format(texts, section)
    return str(section.format) if sure else ""


def settled(
    values: Sequence[Any], section: ColumnSection, beside: Collection[str], named: Sequence[date]
) -> tuple[ColumnSection, str]:
    """The column with the month where it probably stands, and why; as it is, and empty, where nothing tells.

    Args:
        values: of the column, as they follow each other in the files.
        section: the column, with one of the two formats.
        beside: the formats of other columns whose days leave no doubt.
        named: see `named_days`.
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    other = other_format(texts, section) if section.type in ("timestamp", "date") else ""
    if not other:
        return section, ""
    swapped = section.model_copy(update={"format": other})
    for one, two in ((section, swapped), (swapped, section)):
        if why := next(_reasons(_days(texts, one), _days(texts, two), str(one.format), beside, named), ""):
            return one, why
    return section, ""


def first(form: str) -> str:
    """Whether a format has the month or the day first, in words."""
    found = _EITHER.search(form)
    return "month first" if found and found[1] == "m" else "day first"


def read(text: str, section: ColumnSection) -> Value | None:
    """The moment that a text is, by the format of the column; None where it is of another one."""
    try:
        return parse(text, section.type, section.named("x").moments)
    except ValueError:
        return None


def _reasons(
    days: Sequence[date], others: Sequence[date], form: str, beside: Collection[str], named: Sequence[date]
) -> Iterator[str]:
    """What speaks for the reading that gives `days`, and against the one that gives the `others`."""
    if {first(each) for each in beside} == {first(form)}:
        yield "another column has days above 12 there"
    if named and _within(days, named) >= _MOST and _within(others, named) <= _LITTLE:
        yield "the names of the files say these days"
    if len(set(days)) < _FEWEST_DAYS:
        return
    if _in_order(days) and not _in_order(others):
        yield "the records follow each other in time then"
    if _gap(days) <= _NEXT_DAYS and _gap(others) >= _FAR_DAYS:
        yield "day follows day then, and else month follows month"


def _days(texts: Sequence[str], section: ColumnSection) -> list[date]:
    moments = (read(text, section) for text in texts)
    return [date.fromisoformat(str(moment)[: len("2026-11-20")]) for moment in moments if moment is not None]


def _within(days: Sequence[date], named: Sequence[date]) -> float:
    """Share of `days` that lie between the first and the last of those that names say."""
    last = named[-1] + timedelta(days=31) if named[-1].day == 1 else named[-1]
    return sum(named[0] - _AROUND <= day <= last + _AROUND for day in days) / max(len(days), 1)


def _in_order(days: Sequence[date]) -> bool:
    return all(one <= two for one, two in itertools.pairwise(days))


def _gap(days: Sequence[date]) -> float:
    """Days from one to the next, in the middle."""
    return statistics.median((two - one).days for one, two in itertools.pairwise(sorted(set(days))))
