"""The nearest valid name to one that was mistyped. Only that: who lists the names words the error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 64  # difflib is quadratic; nobody mistypes a name this long


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that is most like `name`; empty when none is like it at all."""
    if len(name) > _LONGEST:
        return ""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.55)
    return found[0] if found else ""
