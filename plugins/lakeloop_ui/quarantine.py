"""The values for the page of a loop's quarantine: counts with links that narrow them down, then the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from lakeloop.lake.store import Lake
from lakeloop.quality.quarantine import Row, SetAside, Wanted, reasons, rows
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named

PAGE_ROWS = 50
SHOWN_CHARACTERS = 10_000
"""Of a row, on the page; the command `quarantine` shows and exports it whole."""


@dataclass(frozen=True)
class QuarantineView:
    """One page of it."""

    chosen: Mapping[str, str]
    """What the page is narrowed down to, by the names in its address."""
    counted: tuple[SetAside, ...]
    rows: tuple[Row, ...]
    offset: int
    size: int = PAGE_ROWS

    @property
    def total(self) -> int:
        return sum(one.rows for one in self.counted)

    @property
    def first(self) -> int:
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        return self.offset + len(self.rows)

    @property
    def earlier(self) -> str:
        """Address of the page before; empty on the first."""
        return self._page(self.offset - self.size) if self.offset else ""

    @property
    def later(self) -> str:
        """Address of the next page; empty on the last."""
        return self._page(self.last) if self.last < self.total else ""

    def narrowed(self, **more: str) -> str:
        """Address of the rows among these that are also `more`."""
        return f"?{urlencode({**self.chosen, **more})}"

    def without(self, name: str) -> str:
        """Address of these rows and those with another `name`."""
        return f"?{urlencode({key: value for key, value in self.chosen.items() if key != name})}"

    def _page(self, offset: int) -> str:
        return f"?{urlencode({**self.chosen, 'offset': str(max(offset, 0))})}"


def quarantine_page(settings: Settings, loop: str, chosen: Mapping[str, str], offset: int) -> QuarantineView:
    """The rows that fit `chosen` (day, stage, reason, column): counts of all, and a page of them.

    Raises:
        ConfigurationError: the loop file cannot be read, or the loop has no tables yet.
    """
    lake = Lake.from_settings(settings, load_named(loop, settings))
    wanted = Wanted(chosen.get("day"), chosen.get("stage"), chosen.get("reason"), chosen.get("column"))
    found = rows(lake, wanted, limit=PAGE_ROWS, offset=offset)
    cut = (row.model_copy(update={"raw": _cut(row.raw)}) for row in found)
    return QuarantineView(dict(chosen), tuple(reasons(lake, wanted)), tuple(cut), offset)


def _cut(raw: str) -> str:
    if len(raw) <= SHOWN_CHARACTERS:
        return raw
    return f"{raw[:SHOWN_CHARACTERS]} … ({len(raw) - SHOWN_CHARACTERS:,} characters more)"
