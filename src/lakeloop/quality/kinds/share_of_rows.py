"""An expectation that Great Expectations lacks: most rows pass, of all rows of the day.

GX's own `mostly` is of the rows that have a value, and its query for bad rows lets none pass. Importing this
module imports Great Expectations.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.expectations.core import UnexpectedRowsExpectation

from lakeloop.quality.kinds.base import FOUND


class ExpectShareOfRowsToPass(UnexpectedRowsExpectation):  # type: ignore[misc,unused-ignore]
    """At most 1 - `mostly` of the rows are found by `unexpected_rows_query`; a day without rows passes."""

    mostly: float = pydantic.Field(default=1.0, gt=0, le=1)

    metric_dependencies: ClassVar[tuple[str, ...]] = (
        *UnexpectedRowsExpectation.metric_dependencies,
        "table.row_count",
    )
    success_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "mostly")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
        execution_engine: Any = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        rows, bad = int(metrics["table.row_count"]), int(metrics["unexpected_rows_query.row_count"])
        first = [row.get(FOUND) for row in metrics["unexpected_rows_query.table"]]
        return {
            # In whole rows: 1 - 0.9 is less than 0.1.
            "success": bad <= rows - self.mostly * rows + 1e-9 * rows,
            "result": {
                "observed_value": bad,
                "element_count": rows,
                "partial_unexpected_list": [value for value in first if value is not None],
            },
        }
