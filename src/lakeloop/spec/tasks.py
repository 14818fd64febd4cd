"""What is predicted from what: one class a kind of task, its columns by role, and their union.

What a task does is `lakeloop.tasks.<kind>`, how it is learnt `training.tasks.<kind>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, field_serializer, field_validator

from lakeloop.spec.base import Mark, Section, Words
from lakeloop.spec.checks import Between, Checks, Length, NotNull, OneOf, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.normal import normalised
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken

ROLE = Mark(("built",))
LEARNT = Mark(("mart", "dataset", "weights", "scores"))
KEPT = Mark(("mart",))
Finite = Annotated[float, Field(allow_inf_nan=False)]
LABELS: tuple[ColumnType, ...] = ("string", "integer", "number", "boolean")
"""Types of columns whose values can be labels."""


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
    classes: ClassVar[bool] = False
    """Whether each right answer is one of a few, with a number for each from the network."""

    text: Annotated[ColumnName, ROLE]
    """Column with the text that the model reads."""
    min_characters: Annotated[int, KEPT] = Field(default=1, ge=1)
    """A shorter text is quarantined."""

    def roles(self) -> Mapping[str, Role]:
        """Column of the mart -> where it comes from, the text first."""
        return {"text": Role("text", self.text, ("string",), "string")}

    def row_checks(self) -> tuple[RowCheck, ...]:
        """What every row must fulfil to be of use to the task."""
        return (Length(kind="length", column="text", min=self.min_characters),)

    def unknown(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:  # noqa: ARG002
        """Right answers, as the source has them, that the task does not know: in words, with their number."""
        return Counter()

    @property
    def answers(self) -> tuple[str, ...]:
        """Every right answer that there is, in words; empty where they are numbers."""
        return ()

    @property
    def least_targets(self) -> int:
        """A day with fewer different right answers than this is stopped; 0: it is not looked at."""
        return 0

    def broken_rules(
        self,
        checks: Checks,  # noqa: ARG002
        types: Mapping[str, ColumnType],  # noqa: ARG002
        *,
        normalise: bool,  # noqa: ARG002
    ) -> Iterator[Broken]:
        """Rules between the task and other sections that the loop file breaks; keys from the top.

        `types` are those of the source's columns, by their names.
        """
        yield from ()


ANSWER_NAMES = "label|target"
"""How people call the column with the right answer, whatever it is: a regular expression."""

WHOLE_BELOW = 10**15
"""A whole number that is larger is written with its exponent, as numbers with a point are."""


def in_words(value: str | float) -> str:
    """An answer as the mart has it in words: 1 and 1.0 are "1", true is "true"."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < WHOLE_BELOW else repr(value)
    return str(value)


class Classification(TaskBase):
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

    def unknown(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:
        words = (in_words(value) for value in values if value is not None)
        return Counter(
            word for word in (map(normalised, words) if normalise else words) if word not in self.labels
        )

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
    value: Annotated[ColumnName, ROLE]
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

    def broken_rules(
        self,
        checks: Checks,  # noqa: ARG002
        types: Mapping[str, ColumnType],  # noqa: ARG002
        *,
        normalise: bool,  # noqa: ARG002
    ) -> Iterator[Broken]:
        low, high = self.minimum, self.maximum
        if low is not None and high is not None and high <= low:
            yield Broken("task.maximum", "no value can pass", f"more than minimum ({low:g})", f"{high:g}")


Task = Annotated[Classification | Regression, Field(discriminator="kind")]
