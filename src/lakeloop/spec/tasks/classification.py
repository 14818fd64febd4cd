"""A text gets one of n labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_serializer, field_validator

from lakeloop.spec.base import Words
from lakeloop.spec.checks import Checks, NotNull, OneOf, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.normal import normalised
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import KEPT, LABELS, LEARNT, ROLE, Finite, Role, RowTask, in_words


class Classification(RowTask):
    """A text gets one of n labels."""

    target: ClassVar[str] = "label"
    classes: ClassVar[bool] = True

    kind: Annotated[Literal["classification"], LEARNT] = "classification"
    label: Annotated[ColumnName, ROLE]
    """Column with the right answer."""
    given_labels: Annotated[tuple[Words | bool | int | Finite, ...], LEARNT] = Field(
        alias="labels", min_length=2
    )
    """The known labels; a row with another one is quarantined. Written as `clean.normalise` leaves them;
    numbers, true and false of a column with such values as they are: [0, 1]."""
    min_labels: Annotated[int, KEPT] = Field(default=1, ge=0)
    """Stop the day when fewer distinct labels than this are left."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The known labels in words."""
        return tuple(map(in_words, self.given_labels))

    @property
    def answers(self) -> tuple[str, ...]:
        return self.labels

    @property
    def least_targets(self) -> int:
        return self.min_labels

    @field_serializer("given_labels")
    def _as_words(self, value: tuple[str | float, ...]) -> list[str]:
        return list(map(in_words, value))

    @field_validator("given_labels")
    @classmethod
    def _distinct(cls, value: tuple[str | float, ...]) -> tuple[str | float, ...]:
        counts = Counter(map(in_words, value))
        if twice := sorted(label for label, times in counts.items() if times > 1):
            raise ValueError(f"distinct labels; {', '.join(twice)} is there more than once")
        return value

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "label": Role("label", self.label, LABELS, "string")}

    def counted(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:
        words = (in_words(value) for value in values if value is not None)
        return Counter(map(normalised, words) if normalise else words)

    def row_checks(self) -> tuple[RowCheck, ...]:
        return (
            *super().row_checks(),
            NotNull(kind="not_null", column="label"),
            OneOf(kind="one_of", column="label", values=self.labels),
        )

    def broken_rules(
        self, checks: Checks, types: Mapping[str, ColumnType], *, normalise: bool
    ) -> Iterator[Broken]:
        if types.get(self.label) == "string":
            for number, label in enumerate(self.given_labels):
                if not isinstance(label, str):
                    wanted = f"text in quotes, as the rows have it, such as {quote(in_words(label))}"
                    yield Broken(f"task.labels.{number}", "wrong value", wanted, in_words(label))
        if self.min_labels > len(self.labels):
            most = f"at most {len(self.labels)} labels"
            yield Broken("task.min_labels", "no day can pass", most, str(self.min_labels))
        if normalise:
            yield from self._labels_that_no_row_has(checks)

    def _labels_that_no_row_has(self, checks: Checks) -> Iterator[Broken]:
        """Labels that are not as `clean.normalise` leaves those of the rows: all of their rows would go."""
        named = {f"task.labels.{n}": label for n, label in enumerate(self.labels)}
        for number, check in enumerate(checks.rows):
            if isinstance(check, OneOf) and check.column == "label" and check.quarantines:
                named |= {f"checks.rows.{number}.values.{n}": label for n, label in enumerate(check.values)}
        for key, label in named.items():
            if (form := normalised(label)) != label:
                wanted = (
                    f"{quote(form)}, in Unicode NFC, trimmed, with single blanks"
                    if form
                    else "a label that is not blank"
                )
                yield Broken(key, "no row has this label after clean.normalise", wanted, label)
