"""How published rows are dealt into training, validation and test."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lakeloop.spec.base import DATASET, Section


class Split(Section):
    """Rows are dealt by a hash of their text's letters and digits: texts that are alike fall on one side."""

    validation: Annotated[float, Field(gt=0, lt=0.5), DATASET] = 0.1
    test: Annotated[float, Field(gt=0, lt=0.5), DATASET] = 0.2
    salt: Annotated[str, DATASET] = ""
    """Change it to deal anew."""
