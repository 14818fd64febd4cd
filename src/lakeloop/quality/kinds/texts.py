"""Checks of a text.

Kinds `length`, `one_of`, `not_one_of`, `each_of`, `as_many_words`, `matches`, `not_matches`, `json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.plural import few
from lakeloop.quality.kinds.base import Found, Rule, bad_values, catalogue, rows_expectation, value_of
from lakeloop.scratch.duckdb import literal
from lakeloop.spec.checks import (
    AsManyWords,
    EachOf,
    IsJson,
    Length,
    Matches,
    NotMatches,
    NotOneOf,
    OneOf,
)
from lakeloop.spec.quoting import identifier

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

_SPACE = r"[\s\x0B\x{85}\p{Z}]"
"""Unicode's white space, in RE2; the same as in the dbt macro `normalised`."""
_INK = r"[^\s\x0B\x{85}\p{Z}]"
_COUNTED = 200
"""Characters that a pattern may count: RE2 makes a copy of what it repeats for each."""


class LengthKind:
    """Kind `length`. A missing value has no characters, so that `min: 1` also asks for presence."""

    def rules(self, check: Length) -> tuple[Rule, ...]:
        if check.unit == "words":
            return _by_words(check)
        column, value = check.column, value_of(check)
        length = f"coalesce(length(regexp_replace({value}, '^{_SPACE}+|{_SPACE}+$', '', 'g')), 0)"
        found = f"case when {value} is null then 'no value' else {length} || ' characters' end"
        rules = []
        if check.min > 0:
            short = f"{length} < {check.min}"
            if check.min <= _COUNTED:
                # The same without trimming and without looking at more of a text than is asked for.
                more = f"(?s:.{{{check.min - 2},}}){_INK}" if check.min > 1 else ""
                short = f"not coalesce(regexp_matches({value}, '^{_SPACE}*{_INK}{more}'), false)"
            expected = f"at least {check.min} character(s)"
            rules.append(Rule(f"{column}_too_short", column, expected, short, found))
        if check.max is not None:
            # Few are as long as that with all their spaces.
            long = f"case when length({value}) > {check.max} then {length} > {check.max} else false end"
            expected = f"at most {check.max} character(s)"
            rules.append(Rule(f"{column}_too_long", column, expected, long, found))
        return tuple(rules)

    def expectation(self, check: Length, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX measures lengths before trimming


def _by_words(check: Length) -> tuple[Rule, ...]:
    column, words = check.column, _words(check.column)
    found, rules = f"{words} || ' words'", []
    if check.min > 0:
        expected = f"at least {check.min} word(s)"
        rules.append(Rule(f"{column}_too_short", column, expected, f"{words} < {check.min}", found))
    if check.max is not None:
        expected = f"at most {check.max} word(s)"
        rules.append(Rule(f"{column}_too_long", column, expected, f"{words} > {check.max}", found))
    return tuple(rules)


def _words(column: str) -> str:
    """How many words there are in a column, in SQL; a missing value has none."""
    return f"len(regexp_extract_all(coalesce(cast({identifier(column)} as varchar), ''), '{_INK}+'))"


class OneOfKind:
    """Kind `one_of`."""

    def rules(self, check: OneOf) -> tuple[Rule, ...]:
        value, known = value_of(check), ", ".join(literal(known) for known in check.values)
        expected = f"one of {few(check.values)}"
        return (Rule(f"{check.column}_unknown", check.column, expected, f"{value} not in ({known})", value),)

    def expectation(self, check: OneOf, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        values = list(check.values)
        return catalogue().ExpectColumnValuesToBeInSet(column=check.column, value_set=values), bad_values


class NotOneOfKind:
    """Kind `not_one_of`."""

    def rules(self, check: NotOneOf) -> tuple[Rule, ...]:
        value, refused = value_of(check), ", ".join(literal(refused) for refused in check.values)
        expected = f"none of {few(check.values)}"
        return (Rule(f"{check.column}_refused", check.column, expected, f"{value} in ({refused})", value),)

    def expectation(self, check: NotOneOf, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        values = list(check.values)
        return catalogue().ExpectColumnValuesToNotBeInSet(column=check.column, value_set=values), bad_values


class EachOfKind:
    """Kind `each_of`. No value at all is none that is unknown."""

    def rules(self, check: EachOf) -> tuple[Rule, ...]:
        value, known = value_of(check), ", ".join(literal(known) for known in check.values)
        parts = f"list_transform(string_split({value}, {literal(check.separator)}), lambda part: trim(part))"
        unknown = f"list_filter({parts}, lambda part: part not in ('', {known}))"
        expected = f"each one of {', '.join(check.values)}"
        found = f"array_to_string({unknown}, ', ')"
        return (Rule(f"{check.column}_unknown", check.column, expected, f"len({unknown}) > 0", found),)

    def expectation(self, check: EachOf, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX looks at a value as a whole


class AsManyWordsKind:
    """Kind `as_many_words`. A missing value has none."""

    def rules(self, check: AsManyWords) -> tuple[Rule, ...]:
        own, other = map(_words, (check.column, check.other))
        found = f"{own} || ' words for ' || {other} || ' of {check.other}'"
        expected = f"as many words as {check.other} has"
        return (Rule(f"{check.column}_not_as_many", check.column, expected, f"{own} <> {other}", found),)

    def expectation(self, check: AsManyWords, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX compares columns by their values only


class MatchesKind:
    """Kind `matches`."""

    def rules(self, check: Matches) -> tuple[Rule, ...]:
        value, expected = value_of(check), f"something that matches {check.regex}"
        violated = f"not regexp_matches({value}, {literal(check.regex)})"
        return (Rule(f"{check.column}_mismatch", check.column, expected, violated, value),)

    def expectation(self, check: Matches, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX knows no regular expressions on DuckDB


class NotMatchesKind:
    """Kind `not_matches`."""

    def rules(self, check: NotMatches) -> tuple[Rule, ...]:
        value, expected = value_of(check), f"nothing that matches {check.regex}"
        violated = f"regexp_matches({value}, {literal(check.regex)})"
        matched = f"regexp_extract({value}, {literal(check.regex)})"
        return (Rule(f"{check.column}_match", check.column, expected, violated, matched),)

    def expectation(self, check: NotMatches, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX knows no regular expressions on DuckDB


class IsJsonKind:
    """Kind `json`."""

    def rules(self, check: IsJson) -> tuple[Rule, ...]:
        value = value_of(check)
        return (Rule(f"{check.column}_no_json", check.column, "JSON", f"not json_valid({value})", value),)

    def expectation(self, check: IsJson, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX reads JSON with pandas only
