"""The seam of a kind of personal data: where it stands in a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

Span = tuple[int, int]
"""Where something begins in a text and where it ends."""

DIGITS = re.compile(r"[0-9]+")
PARTED = re.compile(r"(?<![\w.,])[+(]{0,2}[0-9](?:[ \u00a0./()-]{0,2}[0-9]){6,40}(?!\w)")
"""Digits as people group them; what they are is told by what they begin with, or by check digits."""


class Kind(NamedTuple):
    """One kind of personal data."""

    find: Callable[[str, str], Iterator[Span]]
    """Where it stands in a text: spans that do not overlap, in order. The second argument is the country, as
    ISO 3166 has it in two letters, whose numbers are written without their country; empty: none."""
    hint: str
    """What a text must match to have it, in RE2: few texts do, and only those are looked at one by one."""
    regional: bool = False
    """Whether the country makes a difference."""
