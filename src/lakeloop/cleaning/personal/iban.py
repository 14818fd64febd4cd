"""Numbers of bank accounts: ISO 13616 (IBAN), with check digits modulo 97."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.personal.base import Kind, Span

_LETTERS = (15, 34)
_SHAPE = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,12}")


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    for found in _SHAPE.finditer(text):
        if end := _end(found[0]):
            yield found.start(), found.start() + end


def _end(text: str) -> int:
    """Where the account that `text` begins with ends; 0 when it begins with none."""
    for end in range(len(text), 0, -1):
        plain = re.sub(r"[ -]", "", text[:end])
        if len(plain) < _LETTERS[0]:
            return 0
        whole = text[end:][:1] in ("", " ", "-") and text[end - 1] not in " -"
        if whole and len(plain) <= _LETTERS[1] and _checked(plain):
            return end
    return 0


def _checked(account: str) -> bool:
    """ISO 7064, MOD 97-10: the country and the check digits behind the rest, letters from 10 on."""
    return int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1


IBAN = Kind(_find, hint=r"[A-Za-z]{2}[0-9]{2}[ -]?[A-Za-z0-9]")
