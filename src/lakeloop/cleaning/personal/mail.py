"""E-mail addresses, in letters of any script."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.personal.base import Kind, Span

_ADDRESS = re.compile(r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    yield from (found.span() for found in _ADDRESS.finditer(text))


MAIL = Kind(_find, hint="@")
