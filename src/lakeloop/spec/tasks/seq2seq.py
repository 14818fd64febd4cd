"""A text is read whole and another is written for it: a summary, a translation."""

from __future__ import annotations

from typing import Annotated, Literal

from lakeloop.spec.tasks.base import LEARNT
from lakeloop.spec.tasks.writing import WritingTask


class Seq2Seq(WritingTask):
    """A text is read whole, and another is written for it: a summary, a translation."""

    kind: Annotated[Literal["seq2seq"], LEARNT]
