"""What of a request the log keeps: its texts, its texts with what identifies a person masked, or no text.

Masked are, by their shape and their check digits: e-mail and IP addresses, numbers of cards (ISO/IEC 7812,
Luhn), of bank accounts (ISO 13616, modulo 97), of phones and of US social security. Names and streets have no
shape, and stay. A masked text has as many characters as before, so that places in it stay true.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from lakeloop.spec.release import Kept
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance

MASK = "#"
"""In place of each letter and digit."""
_CARD_DIGITS = (13, 19)
_PHONE_DIGITS = (8, 15)
_IBAN_LETTERS = (15, 34)
_ANY = re.compile(r"[^\W_]")
_MAIL = re.compile(r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,12}")
_IP_4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])")
_IP_6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_NUMBER = re.compile(r"(?<![\w.,])[+(]{0,2}[0-9](?:[ \u00a0./()-]{0,2}[0-9]){6,40}(?!\w)")
"""Digits as people group them; what they are is told by what they begin with, or by check digits."""
_DIGITS = re.compile(r"[0-9]+")
_DATE = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{4}|[0-9]{4}([./-])[0-9]{1,2}\2[0-9]{1,2}|0[.,][0-9]")
"""What begins like a phone number and is none: days, and numbers between 0 and 1."""
_AMERICAN = re.compile(r"\(?[2-9][0-9]{2}\)?[ .-]{1,2}[0-9]{3}[ .-][0-9]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}")


def kept(row: Instance, answer: Answer | None, how: Kept) -> dict[str, Any]:
    """The columns of the log that tell of a row's content: text, its hash, what is beside it, the answer."""
    told = answer
    if how == "text":
        text, beside = row.text, _json(row.beside)
    elif how == "mask":
        text, beside = masked(row.text), _json(_masked_in(row.beside))
        told = answer and answer.hidden(row.text, masked)
    else:
        text, beside = None, None
        told = answer and answer.hidden(row.text, _blotted)
    return {
        # Of a masked text: the hash of the text itself would tell a number to whoever tries them all.
        "text_sha256": sha256((row.text if text is None else text).encode()).hexdigest(),
        "text": text,
        "beside": beside,
        "answer": told.model_dump_json() if told else None,
    }


def masked(text: str) -> str:
    """`text` with each letter and digit of what identifies a person as `MASK`; as long as before."""
    for start, end in _found(text):
        text = f"{text[:start]}{_blotted(text[start:end])}{text[end:]}"
    return text


def _blotted(text: str) -> str:
    return _ANY.sub(MASK, text)


def _json(beside: Any) -> str | None:
    return json.dumps(beside, ensure_ascii=False) if beside else None


def _masked_in(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    return {name: _masked_in(item) for name, item in value.items()} if isinstance(value, dict) else value


def _found(text: str) -> Iterator[tuple[int, int]]:
    """Where something begins and ends that is to be masked; places may overlap."""
    if "@" in text:
        yield from (found.span() for found in _MAIL.finditer(text))
    if not _DIGITS.search(text):
        return
    for found in _IBAN.finditer(text):
        if end := _account_end(found[0]):
            yield found.start(), found.start() + end
    for shape in (_IP_4, _IP_6):
        yield from (found.span() for found in shape.finditer(text) if _is_address(found[0]))
    for found in _NUMBER.finditer(text):
        yield from ((found.start() + start, found.start() + end) for start, end in _numbers(found[0]))


def _account_end(text: str) -> int:
    """Where the bank account that `text` begins with ends; 0 when it begins with none."""
    for end in range(len(text), 0, -1):
        plain = re.sub(r"[ -]", "", text[:end])
        if len(plain) < _IBAN_LETTERS[0]:
            return 0
        whole = text[end:][:1] in ("", " ", "-") and text[end - 1] not in " -"
        if whole and len(plain) <= _IBAN_LETTERS[1] and _has_check_digits(plain):
            return end
    return 0


def _has_check_digits(account: str) -> bool:
    """ISO 7064, MOD 97-10: the country and the check digits behind the rest, letters from 10 on."""
    return int("".join(str(int(each, 36)) for each in account[4:] + account[:4])) % 97 == 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _numbers(text: str) -> Iterator[tuple[int, int]]:
    """Cards and phones in digits that stand together, beginning and ending where a group of them does."""
    yield from (found.span() for found in _AMERICAN.finditer(text))
    groups = [found.span() for found in _DIGITS.finditer(text)]
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
    return begins and not _DATE.match(text, start)


def _luhn(digits: str) -> bool:
    doubled = [int(each) * 2 for each in digits[-2::-2]]
    return (sum(each - 9 if each > 9 else each for each in doubled) + sum(map(int, digits[-1::-2]))) % 10 == 0
