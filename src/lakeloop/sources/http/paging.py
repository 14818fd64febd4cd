"""The kinds of paging: from an answer to the next request. A new kind is a function and a line in `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from lakeloop.sources.http.client import Answer
from lakeloop.spec.http import Cursor, NextLink, Offset, OnePage, PageNumber, Paging

MISSING = object()
"""What `at` finds where nothing is; a null is something."""


@dataclass(frozen=True)
class Page:
    """An answer, and where it stands in its day."""

    answer: Answer
    number: int
    """Pages before."""
    before: int
    """Records of the pages before."""
    records: int
    """Records in the answer."""
    total: int | None
    """Records that the day has, as the answer says."""

    @property
    def is_last(self) -> bool:
        """There is nothing behind, for kinds of paging that do not say it themselves."""
        return not self.records or (self.total is not None and self.before + self.records >= self.total)


@dataclass(frozen=True)
class Step:
    """The next request: what is beside the parameters of the day, or an address that has them all."""

    params: Mapping[str, str]
    link: httpx.URL | None = None


def step_after(paging: Paging, page: Page | None) -> Step | None:
    """The request after `page`, or the first; None when `page` was the last.

    Raises:
        ValueError: what an answer says of the next is nothing that can be asked for; the words say what.
    """
    step = KINDS[paging.kind](paging, page)
    if step is None or step.link is not None or isinstance(paging, OnePage) or not paging.size_param:
        return step
    return Step({paging.size_param: str(paging.page_size), **step.params})


def at(content: Any, path: str | None) -> Any:
    """What is at a dotted path in an answer; `MISSING` when nothing is."""
    for part in path.split(".") if path else ():
        if isinstance(content, dict):
            content = content.get(part, MISSING)
        elif isinstance(content, list) and _is_place(part) and -len(content) <= int(part) < len(content):
            content = content[int(part)]
        else:
            return MISSING
    return content


def _is_place(part: str) -> bool:
    digits = part.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 10


def _one_page(_paging: OnePage, page: Page | None) -> Step | None:
    return Step({}) if page is None else None


def _page_number(paging: PageNumber, page: Page | None) -> Step | None:
    if page is None:
        return Step({paging.param: str(paging.first)})
    return None if page.is_last else Step({paging.param: str(paging.first + page.number + 1)})


def _offset(paging: Offset, page: Page | None) -> Step | None:
    """By the records that came, not by those asked for: a server may give fewer."""
    if page is None:
        return Step({paging.param: "0"})
    return None if page.is_last else Step({paging.param: str(page.before + page.records)})


def _cursor(paging: Cursor, page: Page | None) -> Step | None:
    if page is None:
        return Step({})
    found = at(page.answer.content, paging.cursor)
    values = found if isinstance(found, list) else [found]
    if page.is_last or not values or values[0] in (MISSING, None, ""):
        return None
    if not all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values):
        raise ValueError(f"text or numbers at {paging.cursor}")
    return Step({paging.param: paging.join.join(map(str, values))})


def _next_link(paging: NextLink, page: Page | None) -> Step | None:
    if page is None:
        return Step({})
    found = at(page.answer.content, paging.link) if paging.link else page.answer.next_link
    if found in (MISSING, None, ""):
        return None
    try:
        return Step({}, page.answer.url.join(str(found)))
    except httpx.InvalidURL:
        raise ValueError(f"an address at {paging.link or 'the header Link'}") from None


KINDS: dict[str, Callable[[Any, Page | None], Step | None]] = {
    "none": _one_page,
    "page": _page_number,
    "offset": _offset,
    "cursor": _cursor,
    "link": _next_link,
}
