"""How rows are cleaned, on their way into the mart and on their way to a model."""

from __future__ import annotations

from typing import Annotated

from lakeloop.spec.base import Mark, Section


class Clean(Section):
    normalise: Annotated[bool, Mark(("built", "weights"))] = True
    """Unicode NFC, trimmed, runs of white space made one space."""
    drop_near_duplicates: Annotated[bool, Mark(("built", "mart"))] = True
    """Of the good rows of a day whose texts differ only in case, white space and the punctuation between
    words, keep the first. Letters, numbers, symbols, emoji and signs such as # % @ / count: C, C++ and C#
    are three texts, and so are 1.50, 150 and -150."""
