"""The seam of a kind of leak: from the rows of a data set, dealt, to what is suspicious about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakeloop.datasets.assemble import Assembled
from lakeloop.datasets.dealing import SPLITS, Sides
from lakeloop.measures.leaking import Leak, Sighting
from lakeloop.spec.leaks import Kind
from lakeloop.spec.loop import LoopSpec

TRAIN, TEST = SPLITS.index("train"), SPLITS.index("test")
MOST_EXAMPLES = 3
_LONGEST = 80
"""Characters of a row that an example shows."""


@dataclass(frozen=True)
class Looked:
    """The rows of a data set: those of the training first, then of validation and test."""

    loop: LoopSpec
    rows: pa.Table
    """Columns of the mart: those of the task, the key, the day, the place."""
    sides: Sides
    """Of each row."""
    raw: Mapping[str, pa.ChunkedArray]
    """Columns of the source beside them, by their names in the loop file, null where raw lacks the row."""

    @classmethod
    def of(cls, assembled: Assembled, loop: LoopSpec, raw: Mapping[str, pa.ChunkedArray]) -> Looked:
        """The rows of `assembled`; those of `raw` are in the order of `in_order`."""
        sizes = [assembled.tables[name].num_rows for name in SPLITS]
        return cls(loop, in_order(assembled), np.repeat(np.arange(len(SPLITS), dtype=np.int8), sizes), raw)

    @cached_property
    def test(self) -> NDArray[np.bool_]:
        """Whether a row is a test row, bool [rows]."""
        return np.asarray(self.sides == TEST, dtype=np.bool_)

    def examples(self, places: Iterable[int], said: Callable[[int], str]) -> tuple[Sighting, ...]:
        """The first of the rows at `places`, with what is `said` of each."""
        return tuple(
            Sighting(
                row=str(self._cell("row_id", place)),
                partition=str(self._cell("partition", place)),
                place=self._place(place),
                said=excerpt(said(place)),
            )
            for place in [*places][:MOST_EXAMPLES]
        )

    def text(self, place: int) -> str:
        """The text of a row."""
        return str(self._cell("text", place))

    def _cell(self, column: str, place: int) -> object:
        return self.rows[column][int(place)].as_py()

    def _place(self, place: int) -> str:
        names = self.rows.column_names
        if "source_file" not in names or self._cell("source_file", place) is None:
            return ""
        line = self._cell("source_line", place) if "source_line" in names else None
        return f"{self._cell('source_file', place)}" + ("" if line is None else f":{line}")


class LeakCheck(Protocol):
    """One kind of leak. Pure: it reads the rows that it is given and changes nothing."""

    kind: ClassVar[Kind]

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:
        """Columns of the source that it looks at, besides what the mart has."""

    def unfit(self, loop: LoopSpec) -> str:
        """Why such a leak makes no sense for the loop, for people; empty where it is looked for."""

    def look(self, looked: Looked) -> Iterator[Leak]:
        """What is suspicious."""


def in_order(assembled: Assembled) -> pa.Table:
    """The rows of all splits, one after the other, with all that the mart has of them."""
    rows = pa.concat_tables([assembled.tables[name] for name in SPLITS])
    if not assembled.aside:
        return rows
    aside = pa.concat_tables([assembled.aside[name] for name in SPLITS])
    for name in aside.column_names:
        rows = rows.append_column(name, aside[name])
    return rows


def excerpt(text: str) -> str:
    """The beginning of `text`, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def share(part: float, whole: float) -> str:
    """As people read it: `12.5 %`."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
