"""What a rule about texts that identify a person is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Span = tuple[int, int]
"""Where something begins in a text, and where it ends, in characters."""
Rule = Callable[[str], Iterator[Span]]
"""Finds what it knows in a text; places may overlap. It costs time in the length of the text, never more."""

DIGITS = re.compile(r"[0-9]+")
DAY = re.compile(r"[0-9]{1,2}([./-])[0-9]{1,2}\1[0-9]{4}|[0-9]{4}([./-])[0-9]{1,2}\2[0-9]{1,2}")
"""A day with its year."""
