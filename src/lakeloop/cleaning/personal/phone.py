"""Numbers of phones, by the numbering plans of all countries (library phonenumbers)."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.cleaning.personal.base import Kind, Span


def _find(text: str, region: str) -> Iterator[Span]:
    from phonenumbers import Leniency, PhoneNumberMatcher

    for found in PhoneNumberMatcher(text, region or None, Leniency.VALID, max_tries=1000):
        yield found.start, found.end


def regions() -> frozenset[str]:
    """Countries whose numbers are known, each by the two letters of ISO 3166."""
    from phonenumbers import SUPPORTED_REGIONS

    return frozenset(SUPPORTED_REGIONS)


PHONE = Kind(_find, hint=r"(?:\p{Nd}[^\p{Nd}]{0,4}){7}", regional=True)
