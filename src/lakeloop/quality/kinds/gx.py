"""Expectations that Great Expectations lacks, or whose results it cannot write down.

Its own `mostly` is of the rows that have a value, and its query for bad rows lets none pass. Importing this
module imports Great Expectations.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.expectations.core import (
    ExpectColumnQuantileValuesToBeBetween,
    UnexpectedRowsExpectation,
)

from lakeloop.quality.kinds.base import FOUND

_ROUNDING = 1e-9
"""1 - 0.9 is less than 0.1."""


class ExpectShareOfRowsToBeBetween(UnexpectedRowsExpectation):  # type: ignore[misc]
    """The share of the rows that `unexpected_rows_query` finds is within limits; no rows pass."""

    least: float = pydantic.Field(default=0.0, ge=0, le=1)
    most: float = pydantic.Field(default=1.0, ge=0, le=1)

    metric_dependencies: ClassVar[tuple[str, ...]] = (
        *UnexpectedRowsExpectation.metric_dependencies,
        "table.row_count",
    )
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "least", "most")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        rows, found = int(metrics["table.row_count"]), int(metrics["unexpected_rows_query.row_count"])
        first = [row.get(FOUND) for row in metrics["unexpected_rows_query.table"]]
        share = found / rows if rows else self.least
        return {
            "success": self.least - _ROUNDING <= share <= self.most + _ROUNDING,
            "result": {
                "observed_value": found,
                "element_count": rows,
                "partial_unexpected_list": [value for value in first if value is not None],
            },
        }


class ExpectQuantileToBeBetween(ExpectColumnQuantileValuesToBeBetween):  # type: ignore[misc]
    """GX's own, whose verdict is a number of numpy, which its result cannot hold as JSON."""

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        result: dict[str, Any] = super()._validate(metrics, runtime_configuration, execution_engine)
        details = result["result"].get("details", {})
        details["success_details"] = [bool(one) for one in details.get("success_details", ())]
        return {**result, "success": bool(result["success"])}
