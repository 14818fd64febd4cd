"""What the kinds of task have whose answers are texts that a model writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from lakeloop.spec.base import Mark
from lakeloop.spec.checks import Checks, Length, NotNull, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import LEARNT, ROLE, Role, TaskBase

PLACE = "{text}"
"""Stands in a prompt where the text goes."""


class WritingTask(TaskBase):
    """A text is answered with another."""

    target: ClassVar[str] = "answer"
    writes: ClassVar[bool] = True
    refuses: ClassVar[tuple[str, ...]] = (
        "adversarial", "augment", "calibration", "distil", "quantise", "sampling", "vote",
    )  # fmt: skip

    kind: Annotated[str, LEARNT]
    answer: Annotated[ColumnName, ROLE]
    """Column with the right answer, a text."""
    prompt: Annotated[str, LEARNT] = Field(default=PLACE, max_length=20_000)
    """What the model reads, with `{text}` where the text goes."""
    max_new_tokens: Annotated[int, LEARNT] = Field(default=64, ge=1, le=4096)
    """An answer ends there at the latest; longer right answers are cut for the training."""
    extract: Annotated[str | None, Mark(("scores",))] = None
    """What of an answer counts for metric `exact_match`: a regular expression of Python, its group where it
    has one. The last match of an answer is taken: `#### (.+)` of worked examples. Without it all of it."""

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "answer": Role("answer", self.answer, ("string",), "string")}

    def row_checks(self) -> tuple[RowCheck, ...]:
        present = NotNull(kind="not_null", column="answer")
        return (*super().row_checks(), present, Length(kind="length", column="answer", min=1))

    def broken_rules(
        self,
        checks: Checks,  # noqa: ARG002
        types: Mapping[str, ColumnType],  # noqa: ARG002
        *,
        normalise: bool,  # noqa: ARG002
    ) -> Iterator[Broken]:
        if (times := self.prompt.count(PLACE)) != 1:
            yield Broken("task.prompt", "has no place for the text", f"{PLACE} once", f"{times} times")
        if self.extract is not None and (fault := _fault(self.extract)):
            yield Broken("task.extract", "cannot be used", "a regular expression, one group at most", fault)


def _fault(pattern: str) -> str:
    """Why `pattern` extracts nothing; empty where it can."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return f"{quote(pattern)} ({error})"
    return f"{groups} groups" if groups > 1 else ""
