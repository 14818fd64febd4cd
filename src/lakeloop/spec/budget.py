"""What the trainings of a loop may cost in a week or a month."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lakeloop.spec.base import NOTHING, Section


class Budget(Section):
    """No further training begins when what those of the week or month have cost reaches a limit."""

    cpu_hours: Annotated[float | None, NOTHING] = Field(default=None, gt=0)
    """Hours of one core, over all candidates; without it any number."""
    gpu_hours: Annotated[float | None, NOTHING] = Field(default=None, gt=0)
    """Hours of one device."""
    per: Annotated[Literal["week", "month"], NOTHING] = "month"
    """Counted from its first day, in the loop's time zone."""

    @property
    def idle(self) -> str:
        limited = self.cpu_hours is not None or self.gpu_hours is not None
        return "" if limited else "ends no training without one of cpu_hours, gpu_hours"
