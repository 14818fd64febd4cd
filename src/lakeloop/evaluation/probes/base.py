"""The seam of a probe: from a judged model and the rows to numbers and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task


@dataclass(frozen=True)
class Finding:
    """What one probe found of one model."""

    scores: Mapping[str, float] = field(default_factory=dict)
    """By names that no other probe uses."""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Of those of these scores that have one."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Name of a score that these rows do not give -> why."""
    tables: tuple[Grid, ...] = ()


class Probe(Protocol):
    """One way to look at a model."""

    def titles(self, task: str) -> Mapping[str, str]:
        """Name of each score -> what people call it, for a kind of task."""

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        """What is found of `model`, whose answers are in the order of `rows`."""
