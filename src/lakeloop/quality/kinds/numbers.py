"""Checks of a number: `between`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.quality.kinds.base import Found, Rule, bad_values, catalogue, value_of
from lakeloop.spec.checks import Between
from lakeloop.spec.quoting import identifier

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation


class BetweenKind:
    """Kind `between`. What is no number (NaN, infinite) is outside of every limit."""

    def rules(self, check: Between) -> tuple[Rule, ...]:
        column, name = check.column, identifier(check.column)
        rules = [
            Rule(f"{column}_not_finite", column, "a finite number", f"not isfinite({name})", value_of(check))
        ]
        if check.min is not None:
            expected = f"at least {check.min:g}"
            rules.append(
                Rule(f"{column}_too_small", column, expected, f"{name} < {check.min!r}", value_of(check))
            )
        if check.max is not None:
            expected = f"at most {check.max:g}"
            rules.append(
                Rule(f"{column}_too_large", column, expected, f"{name} > {check.max!r}", value_of(check))
            )
        return tuple(rules)

    def expectation(self, check: Between, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        limits = {"min_value": check.min, "max_value": check.max}
        return catalogue().ExpectColumnValuesToBeBetween(column=check.column, **limits), bad_values
