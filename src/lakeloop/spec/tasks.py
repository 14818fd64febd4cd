"""What is predicted from what: one class a kind of task, its columns by role, and their union.

What a task does is `lakeloop.tasks.<kind>`, how it is learnt `training.tasks.<kind>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator

from lakeloop.spec.base import Identifier, Mark, Section, Words
from lakeloop.spec.checks import Between, Checks, Length, NotNull, OneOf, RowCheck
from lakeloop.spec.contract import ColumnType
from lakeloop.spec.normal import normalised
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken

ROLE = Mark(("built",))
LEARNT = Mark(("mart", "dataset", "weights", "scores"))
KEPT = Mark(("mart",))


class Role(NamedTuple):
    """One column of the mart that a task reads."""

    key: str
    """Of the task's section, which names the column."""
    column: str
    """Of the source."""
    types: tuple[ColumnType, ...]
    """Types that the column may have in `source.columns`."""
    kept_as: Literal["string", "number"]
    """Type in the mart."""


class TaskBase(Section):
    """What every task has: a text."""

    target: ClassVar[str]
    """Role of the column with the right answer."""

    text: Annotated[Identifier, ROLE]
    """Column with the text that the model reads."""
    min_characters: Annotated[int, KEPT] = Field(default=1, ge=1)
    """A shorter text is quarantined."""

    def roles(self) -> Mapping[str, Role]:
        """Column of the mart -> where it comes from, the text first."""
        return {"text": Role("text", self.text, ("string",), "string")}

    def row_checks(self) -> tuple[RowCheck, ...]:
        """What every row must fulfil to be of use to the task."""
        return (Length(kind="length", column="text", min=self.min_characters),)

    @property
    def least_targets(self) -> int:
        """A day with fewer different right answers than this is stopped; 0: it is not looked at."""
        return 0

    def broken_rules(self, checks: Checks, *, normalise: bool) -> Iterator[Broken]:  # noqa: ARG002
        """Rules between the task and other sections that the loop file breaks; keys from the top."""
        yield from ()


class Classification(TaskBase):
    """A text gets one of n labels."""

    target: ClassVar[str] = "label"

    kind: Annotated[Literal["classification"], LEARNT] = "classification"
    label: Annotated[Identifier, ROLE]
    """Column with the right answer."""
    labels: Annotated[tuple[Words, ...], LEARNT] = Field(min_length=2)
    """The known labels; a row with another one is quarantined. Written as `clean.normalise` leaves them."""
    min_labels: Annotated[int, KEPT] = Field(default=1, ge=0)
    """Stop the day when fewer distinct labels than this are left."""

    @property
    def least_targets(self) -> int:
        return self.min_labels

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted(label for label, times in Counter(value).items() if times > 1):
            raise ValueError(f"distinct labels; {', '.join(twice)} is there more than once")
        return value

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "label": Role("label", self.label, ("string",), "string")}

    def row_checks(self) -> tuple[RowCheck, ...]:
        return (
            *super().row_checks(),
            NotNull(kind="not_null", column="label"),
            OneOf(kind="one_of", column="label", values=self.labels),
        )

    def broken_rules(self, checks: Checks, *, normalise: bool) -> Iterator[Broken]:
        if self.min_labels > len(self.labels):
            most = f"at most {len(self.labels)} labels"
            yield Broken("task.min_labels", "no day can pass", most, str(self.min_labels))
        if normalise:
            yield from self._labels_that_no_row_has(checks)

    def _labels_that_no_row_has(self, checks: Checks) -> Iterator[Broken]:
        """Labels that are not as `clean.normalise` leaves those of the rows: all of their rows would go."""
        named = {f"task.labels.{n}": label for n, label in enumerate(self.labels)}
        for number, check in enumerate(checks.rows):
            if isinstance(check, OneOf) and check.column == "label":
                named |= {f"checks.rows.{number}.values.{n}": label for n, label in enumerate(check.values)}
        for key, label in named.items():
            if (form := normalised(label)) != label:
                wanted = (
                    f"{quote(form)}, in Unicode NFC, trimmed, with single blanks"
                    if form
                    else "a label that is not blank"
                )
                yield Broken(key, "no row has this label after clean.normalise", wanted, label)


class Regression(TaskBase):
    """A text gets a number."""

    target: ClassVar[str] = "target"

    kind: Annotated[Literal["regression"], LEARNT]
    value: Annotated[Identifier, ROLE]
    """Column with the right answer, a number."""
    minimum: Annotated[float | None, LEARNT] = None
    """A row with a smaller value is quarantined, and no answer is smaller."""
    maximum: Annotated[float | None, LEARNT] = None
    """A row with a larger value is quarantined, and no answer is larger."""

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "target": Role("value", self.value, ("number", "integer"), "number")}

    def row_checks(self) -> tuple[RowCheck, ...]:
        present = (*super().row_checks(), NotNull(kind="not_null", column="target"))
        if self.minimum is None and self.maximum is None:
            return present
        return (*present, Between(kind="between", column="target", min=self.minimum, max=self.maximum))

    def broken_rules(self, checks: Checks, *, normalise: bool) -> Iterator[Broken]:  # noqa: ARG002
        low, high = self.minimum, self.maximum
        if low is not None and high is not None and high <= low:
            yield Broken("task.maximum", "no value can pass", f"more than minimum ({low:g})", f"{high:g}")


Task = Annotated[Classification | Regression, Field(discriminator="kind")]
