"""A text gets any number of n labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from lakeloop.spec.base import Words
from lakeloop.spec.checks import Checks, EachOf, NotNull, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.normal import normalised
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import KEPT, LEARNT, ROLE, Role, RowTask, distinct, parts_of


class MultiLabel(RowTask):
    """A text gets any number of n labels."""

    target: ClassVar[str] = "label"

    kind: Annotated[Literal["multi_label"], LEARNT]
    label: Annotated[ColumnName, ROLE]
    """Column with the right answers, one behind the other."""
    separator: Annotated[str, LEARNT] = Field(default=",", min_length=1, max_length=10)
    """Stands between two of them; blanks around it do not count."""
    labels: Annotated[tuple[Words, ...], LEARNT] = Field(min_length=2)
    """The known labels; a row with another one is quarantined. Written as `clean.normalise` leaves them."""
    may_be_none: Annotated[bool, KEPT] = True
    """A row without any answer has none of the labels; else it is quarantined."""
    threshold: Annotated[float, LEARNT] = Field(default=0.5, gt=0, lt=1)
    """A label is answered when its probability is at least this."""

    @property
    def answers(self) -> tuple[str, ...]:
        return self.labels

    @property
    def optional_target(self) -> bool:
        return self.may_be_none

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "label": Role("label", self.label, ("string",), "string")}

    def counted(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:
        words = (word for value in values if value is not None for word in parts_of(value, self.separator))
        return Counter(map(normalised, words) if normalise else words)

    def row_checks(self) -> tuple[RowCheck, ...]:
        present = () if self.may_be_none else (NotNull(kind="not_null", column="label"),)
        known = EachOf(kind="each_of", column="label", values=self.labels, separator=self.separator)
        return (*super().row_checks(), *present, known)

    def broken_rules(
        self,
        checks: Checks,  # noqa: ARG002
        types: Mapping[str, ColumnType],  # noqa: ARG002
        *,
        normalise: bool,
    ) -> Iterator[Broken]:
        yield from distinct("task.labels", self.labels)
        for number, label in enumerate(self.labels):
            if self.separator in label or label != label.strip():
                wanted = f"a label without the separator {quote(self.separator)} and blanks around it"
                yield Broken(f"task.labels.{number}", "no row can have it", wanted, label)
            elif normalise and (form := normalised(label)) != label:
                message = "no row has this label after clean.normalise"
                yield Broken(f"task.labels.{number}", message, quote(form), label)
