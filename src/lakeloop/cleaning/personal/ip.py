"""Addresses of the internet, version 4 and 6."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import chain

from lakeloop.cleaning.personal.base import Kind, Span

# Four numbers with points between them are a version of a program where the word before says so.
_VERSION_4 = re.compile(
    r"(?<![\w.])(?<![vV]ersion )(?<![vV]\. )(?<![rR]elease )[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\w|\.[0-9])"
)
_VERSION_6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}:[0-9]{2}|:+")


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    for found in chain(_VERSION_4.finditer(text), _VERSION_6.finditer(text)):
        if not _TIME.fullmatch(found[0]) and _is_address(found[0]):
            yield found.span()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


IP = Kind(_find, hint=r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]*:")
