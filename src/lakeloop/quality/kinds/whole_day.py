"""Checks of a day as a whole: how many values there are, which and how often, and numbers made of them.

Kinds `distinct`, `distinct_share`, `value_share`, `contains_all`, `mean`, `median`, `stddev`, `sum` and
`quantile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeloop.plural import few
from lakeloop.quality.kinds.base import Rule, Wanted, bad_rows_query, catalogue, observed, within
from lakeloop.scratch.duckdb import literal
from lakeloop.spec.batch import (
    ContainsAll,
    Distinct,
    DistinctShare,
    Mean,
    Median,
    Quantile,
    Stddev,
    Sum,
    ValueShare,
)
from lakeloop.spec.quoting import identifier

_SHOWN = 10


class DistinctKind:
    """Kind `distinct`."""

    def wanted(self, check: Distinct) -> tuple[Wanted, ...]:
        expectation = catalogue().ExpectColumnUniqueValueCountToBeBetween(
            column=check.column, min_value=check.min, max_value=check.max
        )
        expected = f"{check.column}: {within(check.min, check.max, 'd')} different value(s)"
        found = observed(".0f", " different value(s)")
        return (Wanted(f"{check.column}_distinct", expected, expectation, found),)


class DistinctShareKind:
    """Kind `distinct_share`."""

    def wanted(self, check: DistinctShare) -> tuple[Wanted, ...]:
        expectation = catalogue().ExpectColumnProportionOfUniqueValuesToBeBetween(
            column=check.column, min_value=check.min, max_value=check.max
        )
        expected = f"{check.column}: different values by rows with one, {within(check.min, check.max)}"
        return (Wanted(f"{check.column}_distinct_share", expected, expectation, observed()),)


class ValueShareKind:
    """Kind `value_share`: one check for each value."""

    def wanted(self, check: ValueShare) -> tuple[Wanted, ...]:
        return tuple(self._of(check, value) for value in check.values)

    def _of(self, check: ValueShare, value: str) -> Wanted:
        from lakeloop.quality.kinds.gx import ExpectShareOfRowsToBeBetween

        has = f"cast({identifier(check.column)} as varchar) = {literal(value)}"
        query = bad_rows_query([Rule("", check.column, "", has, "null")])
        least, most = check.min or 0.0, 1.0 if check.max is None else check.max
        expectation = ExpectShareOfRowsToBeBetween(unexpected_rows_query=query, least=least, most=most)
        expected = f"{check.column}: {value} in a share of the rows of {within(check.min, check.max)}"

        def found(result: Mapping[str, Any]) -> str:
            rows, of = result["observed_value"], result["element_count"]
            return f"{rows} of {of} row(s)" + (f" ({rows / of:.2%})" if of else "")

        return Wanted(f"{check.column}_share_of_{value}", expected, expectation, found)


class ContainsAllKind:
    """Kind `contains_all`."""

    def wanted(self, check: ContainsAll) -> tuple[Wanted, ...]:
        expectation = catalogue().ExpectColumnDistinctValuesToContainSet(
            column=check.column, value_set=list(check.values)
        )
        expected = f"{check.column}: each of {few(check.values)} in some row"

        def found(result: Mapping[str, Any]) -> str:
            lacking, first = result["missing_count"], result.get("partial_missing_list") or ()
            more = f" and {lacking - _SHOWN} more" if lacking > _SHOWN else ""
            names = sorted(map(str, first))[:_SHOWN]
            return f"no row has {', '.join(names)}{more}" if lacking else "each is there"

        return (Wanted(f"{check.column}_contains_all", expected, expectation, found),)


_EXPECTATIONS = {
    "mean": "ExpectColumnMeanToBeBetween",
    "median": "ExpectColumnMedianToBeBetween",
    "stddev": "ExpectColumnStdevToBeBetween",
    "sum": "ExpectColumnSumToBeBetween",
}


class NumberKind:
    """Kinds `mean`, `median`, `stddev` and `sum`; without a value the check fails."""

    def wanted(self, check: Mean | Median | Stddev | Sum) -> tuple[Wanted, ...]:
        made = getattr(catalogue(), _EXPECTATIONS[check.kind])
        expectation = made(column=check.column, min_value=check.min, max_value=check.max)
        expected = f"{check.column}: {check.kind} {within(check.min, check.max)}"
        return (Wanted(f"{check.column}_{check.kind}", expected, expectation, observed()),)


class QuantileKind:
    """Kind `quantile`."""

    def wanted(self, check: Quantile) -> tuple[Wanted, ...]:
        from lakeloop.quality.kinds.gx import ExpectQuantileToBeBetween

        ranges = {"quantiles": [check.at], "value_ranges": [[check.min, check.max]]}
        expectation = ExpectQuantileToBeBetween(column=check.column, quantile_ranges=ranges)
        expected = f"{check.column}: quantile {check.at:g} {within(check.min, check.max)}"

        def found(result: Mapping[str, Any]) -> str:
            (value,) = (result.get("observed_value") or {}).get("values") or (None,)
            return observed()({"observed_value": value})

        return (Wanted(f"{check.column}_quantile_{check.at:g}", expected, expectation, found),)
