"""A text gets a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from lakeloop.spec.checks import Between, Checks, NotNull, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import LEARNT, ROLE, Role, RowTask


class Regression(RowTask):
    """A text gets a number."""

    target: ClassVar[str] = "target"

    kind: Annotated[Literal["regression"], LEARNT]
    value: Annotated[ColumnName, ROLE]
    """Column with the right answer, a number."""
    minimum: Annotated[float | None, LEARNT] = None
    """A row with a smaller value is quarantined, and no answer is smaller."""
    maximum: Annotated[float | None, LEARNT] = None
    """A row with a larger value is quarantined, and no answer is larger."""

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "target": Role("value", self.value, ("number", "integer"), "number")}

    def row_checks(self) -> tuple[RowCheck, ...]:
        present = (*super().row_checks(), NotNull(kind="not_null", column="target"))
        if self.minimum is None and self.maximum is None:
            return present
        return (*present, Between(kind="between", column="target", min=self.minimum, max=self.maximum))

    def broken_rules(
        self,
        checks: Checks,  # noqa: ARG002
        types: Mapping[str, ColumnType],  # noqa: ARG002
        *,
        normalise: bool,  # noqa: ARG002
    ) -> Iterator[Broken]:
        low, high = self.minimum, self.maximum
        if low is not None and high is not None and high <= low:
            yield Broken("task.maximum", "no value can pass", f"more than minimum ({low:g})", f"{high:g}")
