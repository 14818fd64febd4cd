"""What every kind of task has: the columns that a model reads, by role, and the seam to other sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from lakeloop.plural import few
from lakeloop.spec.base import Mark, Section
from lakeloop.spec.checks import Checks, Length, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType, stored_name
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
    """Of the task's section, dotted, which names the column."""
    column: str
    """Of the source."""
    types: tuple[ColumnType, ...]
    """Types that the column may have in `source.columns`."""
    kept_as: Literal["string", "number"]
    """Type in the mart."""


TEXT, TEXT_PAIR = "text", "text_pair"
"""Columns of the mart with what a model reads first, and second where there are two texts."""
_FEATURE = "feature_"
"""Begins the name, in the mart, of a column that a model reads beside the text."""
LANGUAGE = "language"
"""Column of the mart with the language of the text, where `clean` asks for it."""
COMING_AND_GOING = (TEXT_PAIR, _FEATURE, LANGUAGE)
"""How columns of the mart begin without which a row is one all the same."""
COLUMN_KEYS = ("text_pair", "numeric", "categorical")
"""Keys of section `task` that name such columns."""


class FeatureColumn(NamedTuple):
    """One column that a model reads beside the text."""

    name: str
    """As the loop file calls it; requests to the model server call it so."""
    column: str
    """Of the mart."""
    kept_as: Literal["string", "number"]
    """A number is standardised, of words each of the frequent ones becomes a number."""


class TaskBase(Section):
    """What every task has: a text."""

    target: ClassVar[str]
    """Role of the column with the right answer."""
    refuses: ClassVar[tuple[str, ...]] = ()
    """Keys of section `train` that make no sense here, whatever the method."""
    classes: ClassVar[bool] = False
    """Whether each right answer is one of a few, with a number for each from the network."""
    writes: ClassVar[bool] = False
    """Answers are texts that a model writes."""
    placed: ClassVar[bool] = False
    """Answers are places in the text, or words of it."""

    text: Annotated[ColumnName, ROLE]
    """Column with the text that the model reads."""
    min_characters: Annotated[int, KEPT] = Field(default=1, ge=1)
    """A shorter text is quarantined."""

    def roles(self) -> Mapping[str, Role]:
        """Column of the mart -> where it comes from, the text first."""
        return {TEXT: Role("text", self.text, ("string",), "string")}

    @property
    def features(self) -> tuple[FeatureColumn, ...]:
        """What a model reads beside the text, in the order in which it does."""
        return ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the mart that a model reads; rows that are equal in them are one row to it."""
        return tuple(name for name in self.roles() if name != self.target)

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns of the mart with what people wrote, which is cleaned: read by a model, or written by it."""
        read = (name for name in (TEXT, TEXT_PAIR) if name in self.roles())
        return (*read, *([self.target] if self.writes else []))

    def row_checks(self) -> tuple[RowCheck, ...]:
        """What every row must fulfil to be of use to the task."""
        return (Length(kind="length", column=TEXT, min=self.min_characters),)

    def unknown(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:
        """Right answers, as the source has them, that the task does not know: in words, with their number."""
        known, there = frozenset(self.answers), self.counted(values, normalise=normalise)
        return Counter({word: rows for word, rows in there.items() if word not in known})

    def counted(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:  # noqa: ARG002
        """Right answers in `values`, those of the column that has them: in words, with the number of each."""
        return Counter()

    @property
    def asked_for(self) -> tuple[str, ...]:
        """Right answers that a model can learn only from rows that have them."""
        return self.answers

    def absence(self, there: Counter[str]) -> str:
        """Which answers that are asked for none has, when rows have those of `there`; empty when all are."""
        if not (absent := [answer for answer in self.asked_for if not there[answer]]):
            return ""
        known = [f"{answer} {there[answer]:,}" for answer in self.asked_for if there[answer]]
        rows = few(known) or "none of them"
        return (
            f"no row has {few(absent)}, rows have {rows}: models are trained without it, or none is,"
            " see train.missing_answers; wait for rows, or take what never comes out of task.labels"
        )

    @property
    def answers(self) -> tuple[str, ...]:
        """Every right answer that there is, in words; empty where they are numbers."""
        return ()

    @property
    def optional_target(self) -> bool:
        """A row without a right answer is one all the same."""
        return False

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


def parts_of(value: str, separator: str) -> list[str]:
    """The answers that one value has, in their order, each once."""
    return list(dict.fromkeys(part.strip() for part in value.split(separator) if part.strip()))


def distinct(key: str, names: Sequence[str]) -> Iterator[Broken]:
    """A rule: no name of the list at `key` is there twice."""
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Broken(f"{key}.{number}", "is there more than once", "a name of its own", name)


class RowTask(TaskBase):
    """A task with one answer for each row, which may have more than its text to be judged by."""

    text_pair: Annotated[ColumnName | None, ROLE] = None
    """Column with a second text, which the model reads behind the first: a question and its answer, a claim
    and its source."""
    numeric: Annotated[tuple[ColumnName, ...], ROLE] = ()
    """Columns with numbers that the model reads beside the text; a row may lack some."""
    categorical: Annotated[tuple[ColumnName, ...], ROLE] = ()
    """Columns with few different values that the model reads beside the text; a row may lack some."""

    def roles(self) -> Mapping[str, Role]:
        roles = dict(super().roles())
        if self.text_pair is not None:
            roles[TEXT_PAIR] = Role("text_pair", self.text_pair, ("string",), "string")
        for number, name in enumerate(self.numeric):
            roles[_in_mart(name)] = Role(f"numeric.{number}", name, ("number", "integer"), "number")
        for number, name in enumerate(self.categorical):
            roles[_in_mart(name)] = Role(f"categorical.{number}", name, LABELS, "string")
        return roles

    @property
    def features(self) -> tuple[FeatureColumn, ...]:
        return (
            *(FeatureColumn(name, _in_mart(name), "number") for name in self.numeric),
            *(FeatureColumn(name, _in_mart(name), "string") for name in self.categorical),
        )

    def row_checks(self) -> tuple[RowCheck, ...]:
        own = super().row_checks()
        return own if self.text_pair is None else (*own, Length(kind="length", column=TEXT_PAIR, min=1))


def _in_mart(name: str) -> str:
    return f"{_FEATURE}{stored_name(name)}"
