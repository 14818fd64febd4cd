"""Where rows come from: one class a kind of source, and their union. Reading them is `lakeloop.sources`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from lakeloop.spec.base import RAW
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.demo import PackageSource


class FilesSource(SourceBase):
    """One file a day, dropped by somebody else."""

    kind: Annotated[Literal["files"], RAW]
    path: Annotated[str, RAW]
    """Path of a day's file, with {partition} for the day: `data/tickets/{partition}.jsonl`.
    Relative to the project; inside the project or one of the allowed data roots."""

    @field_validator("path")
    @classmethod
    def _names_the_day(cls, value: str) -> str:
        if value.count("{partition}") < 1 or re.search(r"[{}]", value.replace("{partition}", "")):
            raise ValueError("a path with {partition} in it, and no other braces")
        return value


Source = Annotated[FilesSource | PackageSource, Field(discriminator="kind")]
