"""Numbers of payment cards: ISO/IEC 7812, which ends in the check digit of Luhn."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.personal.base import DIGITS, PARTED, Kind, Span

_SCHEMES = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5]|2[2-7])[0-9]{14}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11,16}"  # Diners Club
    r"|35[2-8][0-9]{13,16}"  # JCB
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12,15}"  # Discover
    r"|62[0-9]{14,17}"  # UnionPay
    r"|(?:50|5[6-9]|6[0-9])[0-9]{10,17}"  # Maestro
)
"""What numbers of the known issuers begin with, and how long they are; one of ten others has a right check
digit by chance."""


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    for found in PARTED.finditer(text):
        groups = [each.span() for each in DIGITS.finditer(found[0])]
        end_of_last = 0
        for first, (start, _) in enumerate(groups):
            if start < end_of_last:
                continue
            digits, longest = "", 0
            for begin, end in groups[first:]:
                digits += found[0][begin:end]
                if _SCHEMES.fullmatch(digits) and luhn(digits):
                    longest = end
            if longest:
                yield found.start() + start, found.start() + longest
                end_of_last = longest


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    doubled = [int(each) * 2 for each in digits[-2::-2]]
    return (sum(each - 9 if each > 9 else each for each in doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0


CARD = Kind(_find, hint=r"(?:[0-9][^0-9]{0,2}){12}")
