"""Numbers of bank accounts with check digits (IBAN, ISO 13616), in groups or together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.pii.base import Span

_LETTERS = (15, 34)
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,12}")


def iban(text: str) -> Iterator[Span]:
    """Accounts whose check digits are right."""
    for found in _IBAN.finditer(text):
        if end := _account_end(found[0]):
            yield found.start(), found.start() + end


def _account_end(text: str) -> int:
    """Where the bank account that `text` begins with ends; 0 when it begins with none."""
    for end in range(len(text), 0, -1):
        plain = re.sub(r"[ -]", "", text[:end])
        if len(plain) < _LETTERS[0]:
            return 0
        whole = text[end:][:1] in ("", " ", "-") and text[end - 1] not in " -"
        if whole and len(plain) <= _LETTERS[1] and _has_check_digits(plain):
            return end
    return 0


def _has_check_digits(account: str) -> bool:
    """ISO 7064, MOD 97-10: the country and the check digits behind the rest, letters from 10 on."""
    return int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1
