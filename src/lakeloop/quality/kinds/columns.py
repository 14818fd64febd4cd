"""Checks of a row beside others, or of its columns beside each other: `unique`, `compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.quality.kinds.base import Found, Rule, bad_values, catalogue, rows_expectation, value_of
from lakeloop.spec.checks import Compare, Unique
from lakeloop.spec.quoting import identifier

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

_BROKEN = {"less_than": ">=", "at_most": ">", "equal": "<>"}
_WORDS = {"less_than": "less than", "at_most": "at most", "equal": "the same as"}


class UniqueKind:
    """Kind `unique`."""

    def rules(self, check: Unique) -> tuple[Rule, ...]:
        columns = (check.column, *check.together_with)
        there = " and ".join(f"{identifier(name)} is not null" for name in columns)
        found = " || ', ' || ".join(f"cast({identifier(name)} as varchar)" for name in columns)
        expected = f"values that no earlier row has in {', '.join(columns)}"
        return (Rule(f"{'_'.join(columns)}_repeated", check.column, expected, there, found, once=columns),)

    def expectation(self, check: Unique, rule: Rule) -> tuple[Expectation, Found]:
        if check.together_with:
            return rows_expectation(rule)  # GX compares rows that lack a value, too
        return catalogue().ExpectColumnValuesToBeUnique(column=check.column), bad_values


class CompareKind:
    """Kind `compare`."""

    def rules(self, check: Compare) -> tuple[Rule, ...]:
        own, other = identifier(check.column), identifier(check.other)
        if check.relation == "both_or_none":
            violated = f"({own} is null) <> ({other} is null)"
            expected, code = f"a value where {check.other} has one, and nowhere else", "not_both"
        else:
            violated = f"{own} {_BROKEN[check.relation]} {other}"
            expected, code = f"{_WORDS[check.relation]} {check.other}", f"not_{check.relation}"
        found = (
            f"coalesce({value_of(check)}, 'no value') || ' beside '"
            f" || coalesce(cast({other} as varchar), 'no value')"
        )
        return (Rule(f"{check.column}_{code}_{check.other}", check.column, expected, violated, found),)

    def expectation(self, check: Compare, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX counts a row that lacks one of both values
