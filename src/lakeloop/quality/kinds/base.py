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

    from lakeloop.spec.checks import CheckBase

FOUND = "lakeloop_found"
"""Column of a query for bad rows: what such a row has instead."""
_FOUND_CHARACTERS = 100
_EXAMPLES = 5
C_contra = TypeVar("C_contra", bound="CheckBase", contravariant=True)


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


class CheckKind(Protocol[C_contra]):
    """One kind of row check."""

    def rules(self, check: C_contra) -> tuple[Rule, ...]:
        """What makes a row bad. A null passes, unless the kind asks for presence."""

    def expectation(self, check: C_contra, rule: Rule) -> tuple[Expectation, Found]:
        """`rule` as Great Expectations' gate on the rows that are left, and words for what GX observes."""


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
    from lakeloop.quality.kinds.share_of_rows import ExpectShareOfRowsToPass

    query = bad_rows_query(rules)
    return ExpectShareOfRowsToPass(unexpected_rows_query=query, mostly=mostly), share_of_rows


def bad_rows_query(rules: Sequence[Rule]) -> str:
    """A query of GX for the rows that violate one of `rules`, with what each has instead as `FOUND`."""
    found = " ".join(f"when {rule.violated} then cast({rule.found} as varchar)" for rule in rules)
    violated = " or ".join(f"({rule.violated})" for rule in rules)
    # Quoted in the rules.
    query = f"select *, left(case {found} end, {_FOUND_CHARACTERS}) as {FOUND} from "  # noqa: S608
    return _braces_doubled(query) + "{batch} where " + _braces_doubled(violated)


def bad_values(result: Mapping[str, Any]) -> str:
    """Words for an expectation on values: how many rows fail, of how many, with some of the values."""
    bad, of = result.get("unexpected_count") or 0, result.get("element_count") or 0
    values = list(dict.fromkeys(map(str, result.get("partial_unexpected_list") or ())))[:_EXAMPLES]
    return f"{bad} of {of} row(s) fail" + (f": {', '.join(values)}" if values else "")


def bad_rows(result: Mapping[str, Any]) -> str:
    """Words for a query for bad rows: how many it found."""
    return f"{result.get('observed_value') or 0} row(s) fail"


def share_of_rows(result: Mapping[str, Any]) -> str:
    """Words for `ExpectShareOfRowsToPass`: how many rows fail, of how many, with some of what they have."""
    bad, of = result["observed_value"], result["element_count"]
    values = list(dict.fromkeys(map(str, result.get("partial_unexpected_list") or ())))[:_EXAMPLES]
    share = f" ({bad / of:.2%})" if bad else ""
    return f"{bad} of {of} row(s) fail{share}" + (f": {', '.join(values)}" if values else "")


def _braces_doubled(condition: str) -> str:
    """`condition` for a query of GX, which takes braces for fields."""
    return condition.replace("{", "{{").replace("}", "}}")
