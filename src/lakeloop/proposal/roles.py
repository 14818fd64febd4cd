"""Which column plays which part: the key, the time, the text, the answer. Each choice with its reason.

A choice that the data leave open is a doubt: a person is asked, or told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from lakeloop.errors import DataError
from lakeloop.proposal.columns import ProposedColumn
from lakeloop.spec.quoting import quote
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


def choose_roles(columns: Sequence[ProposedColumn], said: dict[Part, str], task: str | None = None) -> Roles:
    """A column for each part, and the kind of task; `said` and `task` are what a person has chosen.

    Raises:
        ConfigurationError: there is no such kind of task.
        DataError: there is no such column, or none can be the text or the answer.
    """
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
    for choice, option in ((text, "--text"), (answer, "--answer")):
        if choice.column is None:
            found = "; ".join(f"{column.name}: {column.type}, {column.evidence}" for column in columns)
            raise DataError(
                f"no column can be the {choice.part}",
                expected="a column of words, and one of few different values or of numbers",
                found=found[:500],
                remedy=f"name it: {option} COLUMN",
            )
    return Roles(key, time, text, answer, _task(answer, kinds, named="answer" in said or task is not None))


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
        named = next((column for column in columns if column.name == said[part]), None)
        if named is None:
            raise DataError(
                "no such column", expected=", ".join(column.name for column in columns), found=said[part]
            )
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


def _named(part: Literal["key", "time", "text"], column: ProposedColumn) -> float:
    return 1.5 if re.search(_NAMES[part], column.name, re.IGNORECASE) else 1.0


def _text_score(column: ProposedColumn) -> float:
    if column.type != "string" or column.words < 1 or column.filled == 0:
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
