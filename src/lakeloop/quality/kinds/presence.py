"""Checks that there is a value: `not_null`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.quality.kinds.base import Found, Rule, bad_values, catalogue, value_of
from lakeloop.spec.checks import NotNull

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


class NotNullKind:
    """Kind `not_null`."""

    def rules(self, check: NotNull) -> tuple[Rule, ...]:
        missing = f"{value_of(check)} is null"
        return (Rule(f"{check.column}_missing", check.column, "a value", missing, "null"),)

    def expectation(self, check: NotNull, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return catalogue().ExpectColumnValuesToNotBeNull(column=check.column), bad_values
