"""What must hold before a day is published, as Great Expectations built from the loop file.

Two things are looked at: the rows that are about to be published (each row check once more, now as a gate),
and the account of the day (how many rows there were and what became of them). Which rows are quarantined is
decided before, in `rows`; running the expectations is `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lakeloop.quality.sql import Rule, rules_of
from lakeloop.spec.models import Length, LoopSpec, Matches, NotNull, OneOf, RowCheck

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

ACCOUNT = "account"
"""Table with one row: `lines_read`, `quarantined`, `duplicates`, `candidates`, `quarantined_share`."""

_EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """One expectation, and how to speak of it."""

    name: str
    table: Literal["candidate", "account"]
    expected: str
    expectation: Expectation
    found: Callable[[Mapping[str, Any]], str]
    """Words for what GX observed, given the `result` of the expectation."""


def checks_of(loop: LoopSpec) -> tuple[Check, ...]:
    """All checks of a day of `loop`, in the order in which a person wants to read them."""
    return (*_day_checks(loop), *_key_checks(), *_row_checks(loop))


def _day_checks(loop: LoopSpec) -> Iterator[Check]:
    gxe = _catalogue()

    limits = loop.checks
    yield _check(
        "day_min_rows",
        f"at least {limits.min_rows} row(s) pass",
        gxe.ExpectTableRowCountToBeBetween(min_value=limits.min_rows),
        lambda result: f"{result.get('observed_value') or 0} row(s)",
    )
    yield _check(
        "day_min_labels",
        f"at least {limits.min_labels} different label(s)",
        gxe.ExpectColumnUniqueValueCountToBeBetween(column="label", min_value=limits.min_labels),
        lambda result: f"{result.get('observed_value') or 0} different label(s)",
    )
    yield _check(
        "day_quarantined_share",
        f"at most {limits.max_quarantined_share:.1%} of the lines in quarantine",
        gxe.ExpectColumnMaxToBeBetween(column="quarantined_share", max_value=limits.max_quarantined_share),
        lambda result: f"{result.get('observed_value') or 0:.1%} of the lines in quarantine",
        table="account",
    )


def _key_checks() -> Iterator[Check]:
    gxe = _catalogue()

    yield _check(
        "row_id_not_null",
        "a key in every row",
        gxe.ExpectColumnValuesToNotBeNull(column="row_id"),
        _bad_values,
    )
    yield _check(
        "row_id_unique", "each key once", gxe.ExpectColumnValuesToBeUnique(column="row_id"), _bad_values
    )


def _row_checks(loop: LoopSpec) -> Iterator[Check]:
    taken: dict[str, int] = {}
    for check in loop.row_checks:
        for rule in rules_of(check):
            expectation, found = _expectation(check, rule)
            times = taken[rule.code] = taken.get(rule.code, 0) + 1
            name = f"no_{rule.code}" if times == 1 else f"no_{rule.code}_{times}"
            yield _check(name, f"{rule.column}: {rule.expected}", expectation, found)


def _expectation(check: RowCheck, rule: Rule) -> tuple[Expectation, Callable[[Mapping[str, Any]], str]]:
    gxe = _catalogue()

    match check:
        case NotNull():
            return gxe.ExpectColumnValuesToNotBeNull(column=check.column), _bad_values
        case OneOf():
            expectation = gxe.ExpectColumnValuesToBeInSet(column=check.column, value_set=list(check.values))
            return expectation, _bad_values
        case Length() | Matches():
            # GX measures lengths before trimming, and knows no regular expressions on DuckDB.
            query = "select * from {batch} where " + _braces_doubled(rule.violated)  # noqa: S608 - quoted in sql
            description = f"{rule.column}: {rule.expected}"
            return gxe.UnexpectedRowsExpectation(
                unexpected_rows_query=query, description=description
            ), _bad_rows


def _catalogue() -> Any:
    """GX's expectations, untyped: the package does not export them to type checkers."""
    from great_expectations.expectations import core

    return core


def _check(
    name: str,
    expected: str,
    expectation: Expectation,
    found: Callable[[Mapping[str, Any]], str],
    table: Literal["candidate", "account"] = "candidate",
) -> Check:
    expectation.meta = {"check": name}
    return Check(name, table, expected, expectation, found)


def _braces_doubled(condition: str) -> str:
    """`condition` for a query of GX, which takes braces for fields."""
    return condition.replace("{", "{{").replace("}", "}}")


def _bad_values(result: Mapping[str, Any]) -> str:
    bad, of = result.get("unexpected_count") or 0, result.get("element_count") or 0
    values = list(dict.fromkeys(map(str, result.get("partial_unexpected_list") or ())))[:_EXAMPLES]
    return f"{bad} of {of} row(s) fail" + (f": {', '.join(values)}" if values else "")


def _bad_rows(result: Mapping[str, Any]) -> str:
    return f"{result.get('observed_value') or 0} row(s) fail"
