"""How rows are cleaned, on their way into the mart and on their way to a model."""

from __future__ import annotations

from typing import Annotated

from lakeloop.spec.base import BUILT, Mark, Section


class Clean(Section):
    normalise: Annotated[bool, Mark(("built", "weights"))] = True
    """Unicode NFC, trimmed, runs of white space made one space."""
    drop_near_duplicates: Annotated[bool, BUILT] = True
    """Of the rows of a day whose text differs only in case, spaces and punctuation, keep the first."""
