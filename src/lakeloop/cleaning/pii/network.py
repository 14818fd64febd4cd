"""IP addresses, version 4 and 6."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lakeloop.cleaning.pii.base import Span

_IP_4 = re.compile(r"(?<![\w.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])")
_IP_6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")


def network(text: str) -> Iterator[Span]:
    """Those that are addresses: numbers of versions are not of four parts, or above 255."""
    for shape in (_IP_4, _IP_6):
        yield from (found.span() for found in shape.finditer(text) if _is_address(found[0]))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
