"""Numbers of phones, by the numbering plans of all countries (library phonenumbers)."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.cleaning.personal.base import Kind, Span

_MOST_TRIES = 1000
"""Candidates of a text that are looked at."""


def _find(text: str, region: str) -> Iterator[Span]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    valid = PhoneNumberMatcher(text, region or None, Leniency.VALID, _MOST_TRIES)
    taken = [(found.start, found.end) for found in valid]
    if "+" in text:
        # Whoever writes the country means a phone, also of a range that the library does not know yet.
        for found in PhoneNumberMatcher(text, None, Leniency.POSSIBLE, _MOST_TRIES):
            if all(found.end <= start or end <= found.start for start, end in taken):
                taken.append((found.start, found.end))
    yield from sorted(taken)


PHONE = Kind(_find, hint=r"(?:\p{Nd}[^\p{Nd}]{0,4}){7}", regional=True)
