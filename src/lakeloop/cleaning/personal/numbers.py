"""Numbers that may be of a card, a phone or US social security, whatever else they may be.

For a log, where a number too many does no harm;
a text that a model learns from is held to `card` and `phone`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.personal.base import DIGITS, PARTED, Kind, Span
from lakeloop.cleaning.personal.card import luhn

_CARD_DIGITS = (13, 19)
_PHONE_DIGITS = (8, 15)
_DAY = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{4}|[0-9]{4}([./-])[0-9]{1,2}\2[0-9]{1,2}")
"""A day with its year."""
_SMALL = re.compile(r"0[.,][0-9]")
"""A number between 0 and 1, which begins like a phone number."""
_AMERICAN = re.compile(r"\(?[2-9][0-9]{2}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}")


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    for found in PARTED.finditer(text):
        yield from ((found.start() + start, found.start() + end) for start, end in _numbers(found[0]))


def _numbers(text: str) -> Iterator[tuple[int, int]]:
    """Cards and phones in digits that stand together, beginning and ending where a group of them does."""
    yield from (found.span() for found in _AMERICAN.finditer(text))
    groups = [found.span() for found in DIGITS.finditer(text)]
    for first, (start, _) in enumerate(groups):
        digits, phone = "", _begins_a_phone(text, start)
        end_of_phone = 0
        for begin, end in groups[first:]:
            digits += text[begin:end]
            if _CARD_DIGITS[0] <= len(digits) <= _CARD_DIGITS[1] and luhn(digits):
                yield start, end
            if phone and _PHONE_DIGITS[0] <= len(digits) <= _PHONE_DIGITS[1]:
                end_of_phone = end
            if len(digits) > _CARD_DIGITS[1]:
                break
        if end_of_phone:
            yield start, end_of_phone


def _begins_a_phone(text: str, start: int) -> bool:
    if start and text[start - 1] == "+":
        return True
    begins = text[start] == "0" and (start == 0 or text[start - 1] not in "./-0123456789")
    return begins and not _DAY.match(text, start) and not _SMALL.match(text, start)


NUMBERS = Kind(_find, hint=r"(?:[0-9][^0-9]{0,2}){7}")
"""Cards by their check digit, phones by what they begin with or how Americans write them."""
