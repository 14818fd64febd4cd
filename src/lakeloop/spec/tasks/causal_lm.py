"""A text is gone on with: an instruction or a question by its answer, in the words of a chat or a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from lakeloop.spec.base import Section, Words
from lakeloop.spec.checks import Checks
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import LEARNT
from lakeloop.spec.tasks.writing import WritingTask


class Example(Section):
    """A text and its right answer, which the model reads before the text that it is asked."""

    text: Annotated[Words, LEARNT]
    answer: Annotated[Words, LEARNT]


class CausalLm(WritingTask):
    """A text is gone on with by its answer: instructions, questions, dialogue."""

    kind: Annotated[Literal["causal_lm"], LEARNT]
    system: Annotated[str, LEARNT] = Field(default="", max_length=20_000)
    """What the model is told before anything else."""
    examples: tuple[Example, ...] = Field(default=(), max_length=32)
    """Examples that stand before the text, each in the words of `prompt`."""
    chat: Annotated[Literal["auto", "on", "off"], LEARNT] = "auto"
    """Whether the prompt is a message of a dialogue, as the base model's chat template writes it; `auto`:
    where it has one."""

    def broken_rules(
        self, checks: Checks, types: Mapping[str, ColumnType], *, normalise: bool
    ) -> Iterator[Broken]:
        yield from super().broken_rules(checks, types, normalise=normalise)
        if twice := [each.text for n, each in enumerate(self.examples) if each in self.examples[:n]]:
            yield Broken("task.examples", "one is there more than once", "different examples", twice[0])
