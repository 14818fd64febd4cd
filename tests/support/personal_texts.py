"""Sentences with personal data, generated, each with where it stands; and sentences that only look like it.

Everything is made from random digits, with check digits of their own; phone numbers are of ranges that no
subscriber has where a country keeps such.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from typing import NamedTuple

REGION = "GB"


class Labelled(NamedTuple):
    """One sentence."""

    text: str
    kind: str
    """Empty: nothing personal is in it."""
    start: int
    end: int


_AROUND = (
    "{}",
    "please use {} from now on",
    "it was {}.",
    "My details ({}) have changed, why?",
    "I sent it to {}; nothing came back",
    "{} is what I gave you",
    "reference: {}\nthanks",
    "Könnten Sie {} prüfen, bitte?",
    "请联系 {} 谢谢",
)


def labelled(count: int, seed: int = 0) -> Iterator[Labelled]:
    """`count` sentences of each kind, and five times as many that have nothing personal in them."""
    draw = random.Random(seed)
    for kind, make in _MADE.items():
        for _ in range(count):
            yield _sentence(draw, make(draw), kind)
    for number in range(5 * count):
        yield _sentence(draw, _HARD[number % len(_HARD)](draw), "")


def _sentence(draw: random.Random, value: str, kind: str) -> Labelled:
    before, after = draw.choice(_AROUND).split("{}")
    return Labelled(f"{before}{value}{after}", kind, len(before), len(before) + len(value))


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices(string.digits, k=count))


def _hex(draw: random.Random, count: int) -> str:
    return "".join(draw.choices("0123456789abcdef", k=count))


def _grouped(digits: str, sizes: tuple[int, ...], between: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(digits[at : at + size])
        at += size
    return between.join(part for part in [*parts, digits[at:]] if part)


def _mail(draw: random.Random) -> str:
    names = (
        "ann",
        "J.Smith",
        "o'neill",
        "jörg",
        "first_last",
        "x",
        "sales-team",
        "bob+news",
        "李雷",
        "a.b.c",
    )
    hosts = (
        "example.com",
        "mail.example.co.uk",
        "EXAMPLE.ORG",
        "sub.domain.example.museum",
        "bücher.example",
    )
    return f"{draw.choice(names)}{draw.choice(('', _digits(draw, 2)))}@{draw.choice(hosts)}"


def _luhn_digit(digits: str) -> str:
    """The digit that makes the sum of the Luhn scheme a multiple of 10, by table."""
    table = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    total = sum(
        table[int(each)] if place % 2 == 0 else int(each) for place, each in enumerate(reversed(digits))
    )
    return str(-total % 10)


def _card(draw: random.Random) -> str:
    begin, length, sizes = draw.choice(
        [
            ("4", 16, (4, 4, 4)),
            ("4", 13, (4, 3, 3)),
            ("51", 16, (4, 4, 4)),
            ("2221", 16, (4, 4, 4)),
            ("34", 15, (4, 6)),
            ("37", 15, (4, 6)),
            ("6011", 16, (4, 4, 4)),
            ("3530", 16, (4, 4, 4)),
            ("36", 14, (4, 6)),
            ("62", 16, (4, 4, 4)),
        ]
    )
    digits = begin + _digits(draw, length - len(begin) - 1)
    return _grouped(digits + _luhn_digit(digits), sizes, draw.choice(("", " ", "-", "\u00a0")))


_ACCOUNTS = {
    "GB": "aaaa99999999999999",
    "DE": "999999999999999999",
    "FR": "9999999999xxxxxxxxxxx99",
    "NL": "aaaa9999999999",
    "NO": "99999999999",
    "MT": "aaaa99999xxxxxxxxxxxxxxxxxx",
    "PL": "999999999999999999999999",
    "CH": "99999xxxxxxxxxxxx",
    "ES": "99999999999999999999",
    "SA": "99xxxxxxxxxxxxxxxxxx",
}


def _iban(draw: random.Random) -> str:
    country = draw.choice(sorted(_ACCOUNTS))
    kinds = {"a": string.ascii_uppercase, "9": string.digits, "x": string.ascii_uppercase + string.digits}
    rest = "".join(draw.choice(kinds[each]) for each in _ACCOUNTS[country])
    remainder = 0
    for each in f"{rest}{country}00":
        for digit in str(int(each, 36)):
            remainder = (remainder * 10 + int(digit)) % 97
    account = f"{country}{98 - remainder:02d}{rest}"
    parted = _grouped(account, (4,) * (len(account) // 4), draw.choice(("", " ", "-")))
    return draw.choice((parted, parted, parted.lower()))


def _ip(draw: random.Random) -> str:
    if draw.random() < 0.7:
        return ".".join(str(draw.randint(0, 255)) for _ in range(4))
    groups = [f"{draw.randint(0, 65535):x}" for _ in range(8)]
    return draw.choice((":".join(groups), f"{':'.join(groups[:2])}::{groups[7]}", f"fe80::{groups[0]}"))


def _phone(draw: random.Random) -> str:
    end3, end4 = _digits(draw, 3), _digits(draw, 4)
    return draw.choice(
        [
            f"020 7946 0{end3}",
            f"(020) 7946 0{end3}",
            f"0161 496 0{end3}",
            f"07400 12{end4}",
            f"0740012{end4}",
            f"+44 7700 900{end3}",
            f"+44 (0)20 7946 0{end3}",
            f"+442079460{end3}",
            f"0044 20 7946 0{end3}",
            f"+1 212 555 {end4}",
            f"+1 (415) 555-{end4}",
            f"+1-202-555-0{end3}",
            f"+49 30 2312{end4}",
            f"+49 (0)89 3299{end4}",
            f"+33 1 99 00 {end4[:2]} {end4[2:]}",
            f"+91 98765 4{end4}",
            f"+61 2 5550 {end4}",
            f"+86 138 0013 {end4}",
        ]
    )


_MADE: dict[str, Callable[[random.Random], str]] = {
    "mail": _mail,
    "iban": _iban,
    "card": _card,
    "ip": _ip,
    "phone": _phone,
}


def _bad_check(draw: random.Random) -> str:
    digits = "4" + _digits(draw, 14)
    wrong = str((int(_luhn_digit(digits)) + draw.randint(1, 9)) % 10)
    return _grouped(digits + wrong, (4, 4, 4), draw.choice(("", " ", "-")))


def _bad_account(draw: random.Random) -> str:
    account = _iban(random.Random(draw.random()))
    flipped = "1" if account[-1] != "1" else "2"
    return account[:-1] + flipped


_HARD: tuple[Callable[[random.Random], str], ...] = (
    _bad_check,
    _bad_account,
    lambda draw: f"order {_digits(draw, 10)}",
    lambda draw: f"#{_digits(draw, 8)}-{_digits(draw, 3)}",
    lambda draw: (
        f"20{_digits(draw, 2)}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d} 10:{_digits(draw, 2)}:00"
    ),
    lambda draw: f"{draw.randint(1, 28):02d}/{draw.randint(1, 12):02d}/20{_digits(draw, 2)}",
    lambda draw: (
        f"version {draw.randint(0, 30)}.{draw.randint(0, 30)}.{draw.randint(0, 30)}.{draw.randint(0, 9)}"
    ),
    lambda draw: f"£{draw.randint(1, 999)},{_digits(draw, 3)}.{_digits(draw, 2)} and {_digits(draw, 2)}%",
    lambda draw: f"ISBN 978-{_digits(draw, 1)}-{_digits(draw, 4)}-{_digits(draw, 4)}-{_digits(draw, 1)}",
    lambda draw: f"{draw.uniform(-90, 90):.6f}, {draw.uniform(-180, 180):.6f}",
    lambda draw: f"tracking {''.join(draw.choices(string.ascii_uppercase, k=2))}{_digits(draw, 9)}GB",
    lambda draw: f"{_digits(draw, 4)} {_digits(draw, 4)}",
    lambda draw: f"sha {_hex(draw, 40)}",
    lambda draw: f"@user{_digits(draw, 3)} at 5 @ {draw.randint(1, 12)}pm",
    lambda draw: (
        f"+{_digits(draw, 2)}% since {draw.randint(1, 28)}.{draw.randint(1, 12)}.20{_digits(draw, 2)}"
    ),
    lambda draw: f"{_digits(draw, 3)}+{_digits(draw, 3)}+{_digits(draw, 4)}={_digits(draw, 4)}",
    lambda draw: f"page {draw.randint(1, 400)}-{draw.randint(400, 800)}, 1990-{_digits(draw, 4)}",
    lambda draw: f"{_hex(draw, 8)}-{_hex(draw, 4)}-4{_hex(draw, 3)}-a{_hex(draw, 3)}-{_hex(draw, 12)}",
)
