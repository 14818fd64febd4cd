"""Numbers of cards (ISO/IEC 7812, Luhn), phones and US social security, in groups or together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.pii.base import DAY, DIGITS, Span

_CARD_DIGITS = (13, 19)
_PHONE_DIGITS = (8, 15)
_NUMBER = re.compile(r"(?<![\w.,])[+(]{0,2}[0-9](?:[ \u00a0./()-]{0,2}[0-9]){6,40}(?!\w)")
"""Digits as people group them; what they are is told by what they begin with, or by check digits."""
_SMALL = re.compile(r"0[.,][0-9]")
"""A number between 0 and 1, which begins like a phone number."""
_AMERICAN = re.compile(r"\(?[2-9][0-9]{2}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}")


def numbers(text: str) -> Iterator[Span]:
    """Cards by their check digit, phones by what they begin with or how Americans write them."""
    for found in _NUMBER.finditer(text):
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
            if _CARD_DIGITS[0] <= len(digits) <= _CARD_DIGITS[1] and _luhn(digits):
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
    return begins and not DAY.match(text, start) and not _SMALL.match(text, start)


def _luhn(digits: str) -> bool:
    doubled = [int(each) * 2 for each in digits[-2::-2]]
    return (sum(each - 9 if each > 9 else each for each in doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0
