"""The seam of a row check: SQL conditions that name bad rows, and the expectation that gates a day.

One wording serves both: the verdict on rows (`quality.rows`) and the checks of the day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from lakeloop.spec.quoting import identifier

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

    from lakeloop.spec.batch import BatchCheckBase
    from lakeloop.spec.checks import CheckBase

FOUND = "lakeloop_found"
"""Column of a query for bad rows: what such a row has instead."""
_FOUND_CHARACTERS = 100
_EXAMPLES = 5
C_contra = TypeVar("C_contra", bound="CheckBase", contravariant=True)
B_contra = TypeVar("B_contra", bound="BatchCheckBase", contravariant=True)


@dataclass(frozen=True)
class Rule:
    """What makes a row bad. All SQL is over the columns of the mart."""

    code: str
    """Reason code: the column and what is wrong with it, such as `text_too_short`."""
    column: str
    expected: str
    """What is wanted, for a person."""
    violated: str
    """Condition that is true for a bad row, and false or null for a good one."""
    found: str
    """Expression for what such a row has instead; null when there is nothing to tell."""
    once: tuple[str, ...] = ()
    """Columns whose values together one row may have: each later row that meets `violated` and has the same
    values is bad, as long as the earlier one is good. Empty: rows are looked at one by one."""

    @property
    def later(self) -> str:
        """The clause for each row but the first of those with the same values in `once`."""
        columns = ", ".join(map(identifier, self.once))
        first = f"row_number() over (partition by {columns} order by source_file, source_line) = 1"
        return f"qualify not {first}"


class CheckKind(Protocol[C_contra]):
    """One kind of row check."""

    def rules(self, check: C_contra) -> tuple[Rule, ...]:
        """What makes a row bad. A null passes, unless the kind asks for presence."""

    def expectation(self, check: C_contra, rule: Rule) -> tuple[Expectation, Found]:
        """`rule` as Great Expectations' gate on the rows that are left, and words for what GX observes."""


@dataclass(frozen=True)
class Wanted:
    """One thing that a check wants of a day."""

    name: str
    """The column and what is looked at, such as `price_mean`."""
    expected: str
    """For a person."""
    expectation: Expectation
    found: Found
    """Words for what GX observed."""


class BatchKind(Protocol[B_contra]):
    """One kind of check of a day."""

    def wanted(self, check: B_contra) -> tuple[Wanted, ...]:
        """What must hold of the rows that are about to be published. A null is no value."""


Found = Callable[[Mapping[str, Any]], str]
"""Words for what GX observed, given the `result` of the expectation."""


def catalogue() -> Any:
    """GX's expectations, untyped: the package does not export them to type checkers."""
    from great_expectations.expectations import core

    return core


def value_of(check: CheckBase) -> str:
    """The checked column as text, in SQL."""
    return f"cast({identifier(check.column)} as varchar)"


def rows_expectation(rule: Rule) -> tuple[Expectation, Found]:
    """The gate of `rule` as a query for bad rows, for what GX's own expectations cannot say on DuckDB."""
    description = f"{rule.column}: {rule.expected}"
    query = bad_rows_query([rule])
    found = catalogue().UnexpectedRowsExpectation(unexpected_rows_query=query, description=description)
    return found, bad_rows


def share_expectation(rules: Sequence[Rule], mostly: float) -> tuple[Expectation, Found]:
    """At least the share `mostly` of the rows violates none of `rules`, the rules of one check."""
    from lakeloop.quality.kinds.gx import ExpectShareOfRowsToBeBetween

    most, query = 1.0 - mostly, bad_rows_query(rules)
    return ExpectShareOfRowsToBeBetween(unexpected_rows_query=query, most=most), share_of_rows


def bad_rows_query(rules: Sequence[Rule]) -> str:
    """A query of GX for the rows that violate one of `rules`, with what each has instead as `FOUND`.

    A rule of values that may be there once is the only one of its check.
    """
    found = " ".join(f"when {rule.violated} then cast({rule.found} as varchar)" for rule in rules)
    violated = " or ".join(f"({rule.violated})" for rule in rules)
    # Quoted in the rules.
    query = f"select *, left(case {found} end, {_FOUND_CHARACTERS}) as {FOUND} from "  # noqa: S608
    later = f" {rules[0].later}" if rules[0].once else ""
    return _braces_doubled(query) + "{batch} where " + _braces_doubled(violated + later)


def bad_values(result: Mapping[str, Any]) -> str:
    """Words for an expectation on values: how many rows fail, of how many, with some of the values."""
    bad, of = result.get("unexpected_count") or 0, result.get("element_count") or 0
    values = list(dict.fromkeys(map(str, result.get("partial_unexpected_list") or ())))[:_EXAMPLES]
    return f"{bad} of {of} row(s) fail" + (f": {', '.join(values)}" if values else "")


def bad_rows(result: Mapping[str, Any]) -> str:
    """Words for a query for bad rows: how many it found."""
    return f"{result.get('observed_value') or 0} row(s) fail"


def share_of_rows(result: Mapping[str, Any]) -> str:
    """Words for a share of bad rows: how many fail, of how many, with some of what they have."""
    bad, of = result["observed_value"], result["element_count"]
    values = list(dict.fromkeys(map(str, result.get("partial_unexpected_list") or ())))[:_EXAMPLES]
    share = f" ({bad / of:.2%})" if bad else ""
    return f"{bad} of {of} row(s) fail{share}" + (f": {', '.join(values)}" if values else "")


def within(lowest: float | None, highest: float | None, form: str = ".6g") -> str:
    """Limits in words; at least one is given."""
    parts = (("at least", lowest), ("at most", highest))
    return " and ".join(f"{words} {limit:{form}}" for words, limit in parts if limit is not None)


def observed(form: str = ".6g", of: str = "") -> Found:
    """Words for an expectation on one number: that number, or that there is none."""

    def found(result: Mapping[str, Any]) -> str:
        value = result.get("observed_value")
        return "no value" if value is None else f"{float(value):{form}}{of}"

    return found


def _braces_doubled(condition: str) -> str:
    """`condition` for a query of GX, which takes braces for fields."""
    return condition.replace("{", "{{").replace("}", "}}")
