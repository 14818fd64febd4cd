"""Numbers of bank accounts: ISO 13616 (IBAN), with check digits modulo 97."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.personal.base import Kind, Span

_LENGTHS = {
    length: frozenset(countries.split())
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}
"""Letters and digits of an account -> countries whose accounts have as many (IBAN registry of SWIFT)."""
_SHORTEST = min(_LENGTHS)
_SHAPE = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,12}")


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    for found in _SHAPE.finditer(text):
        if end := _end(found[0]):
            yield found.start(), found.start() + end


def _end(text: str) -> int:
    """Where the account that `text` begins with ends; 0 when it begins with none."""
    for end in range(len(text), 0, -1):
        plain = re.sub(r"[ -]", "", text[:end])
        if len(plain) < _SHORTEST:
            return 0
        whole = text[end:][:1] in ("", " ", "-") and text[end - 1] not in " -"
        if whole and plain[:2].upper() in _LENGTHS.get(len(plain), ()) and _checked(plain):
            return end
    return 0


def _checked(account: str) -> bool:
    """ISO 7064, MOD 97-10: the country and the check digits behind the rest, letters from 10 on."""
    return int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1


IBAN = Kind(_find, hint=r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]")
