"""What a kind of task brings to `lakeloop new --from`: which columns can hold its answers, and its section.

Everything else of a proposal (samples, types, the other parts, the text of the file) knows no task by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from lakeloop.spec.columns import ColumnType


class SeenColumn(Protocol):
    """What a sample says of a column."""

    @property
    def name(self) -> str:
        """As the files call it."""

    @property
    def type(self) -> ColumnType: ...

    @property
    def filled(self) -> float:
        """Share of records that have a value, 0..1."""

    @property
    def distinct(self) -> int:
        """Different values in the sample."""

    @property
    def records(self) -> int:
        """Records of the sample."""

    @property
    def counts(self) -> Counter[Any]:
        """Value -> records, as they stand there; empty where there are many values."""

    @property
    def in_words(self) -> Counter[str]:
        """The same, in words as the mart has them."""


@runtime_checkable
class SaysWhy(Protocol):
    """A part that tells why the task, where another would do as well at first sight."""

    def why(self, column: SeenColumn) -> str:
        """The reason; empty: nothing need be said."""


class TaskProposal(Protocol):
    """The part of one kind of task."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:
        """How well a column does for the right answer: 0 not at all, 1 well, more where its name says so too.

        Of a column that a person `named`, only the type counts.
        """

    def answers(self, column: SeenColumn) -> Counter[str]:
        """The right answers that people want to see before the loop runs -> records; empty: none."""

    def unknown(self, column: SeenColumn) -> int:
        """Records of the sample whose answer is none that `keys` name: they will be quarantined."""

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        """Lines of the task's section besides its kind and its text; `remark` is a comment on the column."""

    def gate(self) -> Iterator[str]:
        """Lines of other sections, where without them a useless model would pass the gate."""
