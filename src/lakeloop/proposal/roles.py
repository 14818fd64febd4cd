"""Which column plays which part: the key, the time, the text, the answer. Each choice with its reason.

A choice that the data leave open is a doubt: a person is asked, or told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

from lakeloop.errors import DataError
from lakeloop.proposal.columns import ProposedColumn
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.quoting import plain, quote, scalar
from lakeloop.spec.reading.nearest import nearest
from lakeloop.tasks import registry

Part = Literal["key", "time", "text", "answer"]

_NAMES: dict[Part, str] = {
    "key": r"(^|_|\b| )(id|uuid|guid|key|number|nr|no)$|^id|identifier",
    "time": r"time|date|created|published|received|posted|stamp|_at$|^ts$",
    "text": r"text|message|body|comment|narrative|review|content|description|sentence|tweet|title|query",
}
"""How columns of a part are called; those with answers each task knows."""
_CLOSE = 0.8
"""A candidate with more than this share of the best one's score leaves a doubt."""


@dataclass(frozen=True)
class Choice:
    """What was chosen for a part, why, and what else it might be."""

    part: Part
    column: ProposedColumn | None
    """None: no column plays this part."""
    reason: str
    others: tuple[str, ...] = ()
    """Names of other columns that would do; a doubt where there are some."""


@dataclass(frozen=True)
class Roles:
    key: Choice
    time: Choice
    text: Choice
    answer: Choice
    task: str
    """The kind of task that the answers make."""

    @property
    def all(self) -> tuple[Choice, ...]:
        return (self.key, self.time, self.text, self.answer)


_FLAT = "have what lies in objects written as fields of their own, a list as text: a;b"
"""What to do with fields that hold objects or lists."""


def choose_roles(
    columns: Sequence[ProposedColumn],
    said: dict[Part, str],
    task: str | None = None,
    nested: Mapping[str, str] = MappingProxyType({}),
) -> Roles:
    """A column for each part, and the kind of task; `said` and `task` are what a person has chosen.

    `nested` are the fields that hold objects or lists, by name, as an error shows them.

    Raises:
        ConfigurationError: there is no such kind of task.
        DataError: there is no such column, it cannot play its part, or none can be the text or the answer.
    """
    for part, name in said.items():
        _require(part, name, columns, nested)
    kinds = [task] if task else list(registry.TASKS)
    scores: dict[Part, Callable[[ProposedColumn], float]] = {
        **_SCORES,
        "answer": lambda column: max(registry.proposal_of(kind).fit(column) for kind in kinds),
    }
    free = [column for column in columns if column.name not in said.values()]
    chosen: dict[Part, Choice] = {}
    for part, score in scores.items():
        taken = [choice.column for choice in chosen.values()]
        left = [column for column in free if column not in taken]
        chosen[part] = _choice(part, columns if part in said else left, said, score)
        if part == "answer" and task and chosen[part].column is None:  # as good as any that it can learn
            chosen[part] = _choice(part, left, said, partial(registry.proposal_of(task).fit, named=True))
    text, time, key, answer = (chosen[part] for part in scores)
    for choice in (text, answer):
        if choice.column is None:
            raise _nothing_for(choice.part, columns, nested)
    if key.column is None:
        key = replace(key, reason=_no_key(columns, chosen))
    return Roles(key, time, text, answer, _task(answer, kinds, named="answer" in said or task is not None))


def _require(part: Part, name: str, columns: Sequence[ProposedColumn], nested: Mapping[str, str]) -> None:
    """Return when the column that a person named for a part is there and may play it."""
    column = next((column for column in columns if column.name == name), None)
    if column is None:
        known = {each.name.casefold(): each.name for each in columns}
        close = known.get(nearest(name.casefold(), known), "")
        raise DataError(
            "no such column",
            where=f"--{part}",
            expected=", ".join(column.name for column in columns),
            found=f"{nested[name]}, which holds objects or lists" if name in nested else quote(name),
            remedy=_FLAT if name in nested else f"did you mean {quote(close)}?" if close else "",
        )
    types, expected, remedy = _TAKES.get(part, ((), "", ""))
    if types and column.type not in types:
        raise DataError(
            f"column {quote(name)} cannot be the {part}",
            where=f"--{part}",
            expected=expected,
            found=column.seen,
            remedy=remedy.format(name=scalar(name)),
        )


def _nothing_for(part: Part, columns: Sequence[ProposedColumn], nested: Mapping[str, str]) -> DataError:
    found = "; ".join(f"{column.name}: {column.type}, {column.evidence}" for column in columns)[:500]
    inner = f"; left out, for they hold objects or lists: {', '.join(nested.values())}"[:300]
    flat = f"; or {_FLAT}" if nested else ""
    kinds = f"; or say the kind, as for cells with several answers: --task {'|'.join(registry.TASKS)}"
    return DataError(
        f"no column can be the {part}",
        expected="a column of words, and one of few different values or of numbers",
        found=found + (inner if nested else ""),
        remedy=f"name it: --{part} COLUMN{kinds if part == 'answer' else ''}{flat}",
    )


def _no_key(columns: Sequence[ProposedColumn], chosen: Mapping[Part, Choice]) -> str:
    """Why no column names a row; one may, and play another part."""
    for part, choice in chosen.items():
        if choice.column in columns and choice.column and _key_score(choice.column):
            taken = f"{plain(choice.column.name)} has a different value in every record, but is the {part}"
            return f"{taken}: a row is named by its content"
    return _NOTHING["key"]


def _task(answer: Choice, kinds: Sequence[str], *, named: bool) -> str:
    """The kind of task, of `kinds`, whose answers the column holds best."""
    column = answer.column
    assert column, "there is an answer"
    fits = {kind: registry.proposal_of(kind).fit(column, named=named) for kind in kinds}
    best = max(fits, key=lambda kind: fits[kind])
    if not fits[best]:
        raise DataError(
            f"column {quote(column.name)} cannot be the answer",
            expected=f"answers of {' or '.join(kinds)}",
            found=f"{column.type}, {column.evidence}",
            remedy="name another column: --answer COLUMN",
        )
    return best


def _choice(
    part: Part,
    columns: Sequence[ProposedColumn],
    said: dict[Part, str],
    score: Callable[[ProposedColumn], float],
) -> Choice:
    if part in said:
        named = next(column for column in columns if column.name == said[part])
        return Choice(part, named, f"you named it: {named.evidence}")
    ranked = sorted(((score(column), column) for column in columns), key=lambda pair: -pair[0])
    good = [(points, column) for points, column in ranked if points > 0]
    if not good:
        return Choice(part, None, _NOTHING[part])
    best, column = good[0]
    others = tuple(other.name for points, other in good[1:] if points >= _CLOSE * best)
    return Choice(part, column, f"{column.evidence}", others[:4])


_NOTHING: dict[Part, str] = {
    "key": "no column has a different value in every record: a row is named by its content",
    "time": "no column says when",
    "text": "no column has words",
    "answer": "no column has few different values",
}


_ANOTHER_TIME = (
    "name another column; or begin without --from, and say in source.columns how it is written:"
    ' {name}: {{type: timestamp, format: "%Y-%m-%d %H.%M"}}'
)
_TAKES: dict[Part, tuple[tuple[ColumnType, ...], str, str]] = {
    "key": (
        ("string", "integer"),
        "a column of words or whole numbers, another one in each record",
        "name another column, or leave --key out: where no column can, a row is named by its content",
    ),
    "time": (
        ("timestamp", "date"),
        "a column of times or dates: ISO 8601, seconds since 1970, or as 11/20/2026 1:05 PM",
        _ANOTHER_TIME,
    ),
    "text": (("string",), "a column of words", "name another column: --text COLUMN"),
}
"""Types of columns that a person may name for a part, in words, and what to do; those of answers each task
knows."""


def _named(part: Literal["key", "time", "text"], column: ProposedColumn) -> float:
    return 1.5 if re.search(_NAMES[part], column.name, re.IGNORECASE) else 1.0


def _text_score(column: ProposedColumn) -> float:
    if column.type != "string" or column.words < 1 or column.filled == 0 or column.single:
        return 0
    # Words count most, up to a paragraph: of a text and its summary the text; of two texts the first.
    return min(column.words, 60) * column.filled * _named("text", column)


def _time_score(column: ProposedColumn) -> float:
    if column.type not in ("timestamp", "date"):
        return 0
    trusted = 0.8 if column.odd else 1.0
    return column.filled * _named("time", column) * trusted * (1.2 if column.type == "timestamp" else 1)


def _key_score(column: ProposedColumn) -> float:
    short = column.type == "integer" or (column.type == "string" and column.words <= 1.01)
    if not short or column.filled < 1 or column.distinct < column.records:
        return 0
    return _named("key", column)


_SCORES: dict[Part, Callable[[ProposedColumn], float]] = {
    "text": _text_score,
    "time": _time_score,
    "key": _key_score,
}
"""How well a column does for a part, in the order in which they are chosen; 0: not at all. The answer is
chosen last, by what the tasks say."""
