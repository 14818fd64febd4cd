"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.pii.base import Span

_MAIL = re.compile(r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")


def mail(text: str) -> Iterator[Span]:
    """Addresses, whatever stands before their @."""
    if "@" in text:
        yield from (found.span() for found in _MAIL.finditer(text))
