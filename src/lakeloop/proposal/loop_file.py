"""A proposal as the text of a loop file, with a comment on each choice: the file is what a person reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lakeloop.proposal.columns import ProposedColumn
from lakeloop.proposal.given import Given
from lakeloop.proposal.roles import Choice, Roles
from lakeloop.proposal.sample import Sample
from lakeloop.spec.quoting import plain, scalar
from lakeloop.spec.train import Train
from lakeloop.tasks.proposing import SaysWhy
from lakeloop.tasks.registry import proposal_of

_LONG = 300
_LACKING = 0.05
"""From this share on a day of few records may well have more than the checks allow by default."""


@dataclass(frozen=True)
class Proposal:
    """What the loop file will say."""

    name: str
    given: Given
    partition_by: str | None
    """Column that says the day, where the place does not."""
    columns: tuple[ProposedColumn, ...]
    left_out: tuple[str, ...]
    roles: Roles
    timezone: str = "UTC"

    @property
    def sample(self) -> Sample:
        """The records that it was made from."""
        return self.given.sample

    @property
    def answers(self) -> Counter[str]:
        """The answers in words as the mart has them -> records, where the task has few."""
        column = self.roles.answer.column
        assert column, "a proposal has an answer"
        return proposal_of(self.roles.task).answers(column)

    @property
    def why(self) -> str:
        """Why this kind of task, where another would do at first sight; else empty."""
        column, part = self.roles.answer.column, proposal_of(self.roles.task)
        return part.why(column) if column and isinstance(part, SaysWhy) else ""

    def text(self) -> str:
        """The loop file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        rows = (
            f"{len(self.sample.rows)} records" if self.sample.whole else f"the first {len(self.sample.rows)}"
        )
        yield "# yaml-language-server: $schema=../loop.schema.json"
        yield f"name: {self.name}"
        yield "description: Say here what is predicted, and for whom."
        yield "source:"
        for key, value in self.given.keys.items():
            note = self.given.notes.get(key, "")
            yield f"  {key}: {_written(value)}{f' # {_plain(note)}' if note else ''}"
        if self.partition_by:
            yield f"  partition_by: {scalar(self.partition_by)} # the day of a record"
        yield from self._key()
        if time := self.roles.time.column:
            yield f"  event_time: {scalar(time.name)}{_comment(self.roles.time)}"
        yield f"  columns: # as {rows} of the data have them"
        for column in self.columns:
            yield f"    {scalar(column.name)}: {_type(column)} # {plain(column.evidence, _LONG)}"
        if self.left_out:
            names = _plain(", ".join(self.left_out))
            yield f"  # Not read, for they are nested, empty, or numbers beyond 64 bits: {names}"
        yield from self._task()
        yield from proposal_of(self.roles.task).gate()
        yield from self._rows()

    def _key(self) -> Iterator[str]:
        if key := self.roles.key.column:
            yield f"  key: {scalar(key.name)}{_comment(self.roles.key)}"
        else:
            yield f"  key_from: content # {self.roles.key.reason}"

    def _task(self) -> Iterator[str]:
        text, answer = self.roles.text.column, self.roles.answer.column
        assert text
        assert answer
        yield "task:"
        yield f"  kind: {self.roles.task}" + (f" # {_plain(self.why)}" if self.why else "")
        yield f"  text: {scalar(text.name)}{_comment(self.roles.text)}"
        for line in proposal_of(self.roles.task).keys(answer, _comment(self.roles.answer)):
            yield f"  {line}"

    def _rows(self) -> Iterator[str]:
        """Keys whose defaults do not suit so few records, or records that so often lack something."""
        usual = Train()
        if self.sample.whole and len(self.sample.rows) < 2 * usual.min_rows:
            yield "train:"
            least = max(len(self.sample.rows) // 3, 2)
            yield f"  min_rows: {least} # there are few records yet; the default is {usual.min_rows}"
            yield f"  min_new_rows: {max(len(self.sample.rows) // 5, 1)}"
        yield "checks:"
        yield "  history: true # a day unlike those before it is told of; `severity: batch` would stop it"
        if self.partition_by or self.lacking > _LACKING:
            share = min(1.0, round(max(0.5, 2 * self.lacking), 1))
            why = f"records that lack what they need: {self.lacking:.0%}; small days vary"
            yield f"  max_quarantined_share: {share:g} # {why}"

    @property
    def lacking(self) -> float:
        """Share of the records that lack a text, a day or an answer that the task knows."""
        needed = [self.roles.text.column, self.roles.answer.column]
        names = [column.name for column in needed if column] + [self.partition_by or ""]
        lacking = sum(any(row.get(name) is None for name in names if name) for row in self.sample.rows)
        answer = self.roles.answer.column
        unknown = proposal_of(self.roles.task).unknown(answer) if answer else 0
        return min(1.0, (lacking + unknown) / len(self.sample.rows))


def _comment(choice: Choice) -> str:
    """What there is to say of a choice, as a comment; its evidence stands at the column."""
    if choice.others:
        return f" # or {_plain(', '.join(choice.others))}?"
    return ""


def _type(column: ProposedColumn) -> str:
    said: dict[str, Any] = {"type": column.type}
    if column.section.format:
        said["format"] = column.section.format
    if len(said) == 1:
        return column.type
    return "{" + ", ".join(f"{key}: {scalar(value)}" for key, value in said.items()) + "}"


def _written(value: Any) -> str:
    """The value of a key on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_written(each)}" for key, each in value.items()) + "}"
    return scalar(value) if isinstance(value, str) else str(value)


def _plain(text: str) -> str:
    return plain(text, 200)
