"""The one list of rules about what identifies a person in a text, and what makes it unreadable.

Each is a file beside this one. Names and streets have no shape, and no rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lakeloop.cleaning.pii.base import Rule
from lakeloop.cleaning.pii.british import british
from lakeloop.cleaning.pii.iban import iban
from lakeloop.cleaning.pii.mail import mail
from lakeloop.cleaning.pii.network import network
from lakeloop.cleaning.pii.numbers import numbers

MASK = "#"
"""In place of each letter and digit."""
_ANY = re.compile(r"[^\W_]")

RULES: Mapping[str, Rule] = {
    "mail": mail,
    "iban": iban,
    "network": network,
    "numbers": numbers,
    "british": british,
}
"""What a rule finds, in a word -> the rule."""


def masked(text: str) -> str:
    """`text` with each letter and digit of what identifies a person as `MASK`; as long as before."""
    spans = [span for rule in RULES.values() for span in rule(text)]
    for start, end in spans:
        text = f"{text[:start]}{blotted(text[start:end])}{text[end:]}"
    return text


def blotted(text: str) -> str:
    """`text` with every letter and digit as `MASK`."""
    return _ANY.sub(MASK, text)
