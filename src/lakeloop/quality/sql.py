"""A row check as an SQL condition: one wording for the verdict on rows and for the gate that checks it.

Values of the loop file enter SQL here and only here, as quoted literals, because Great Expectations takes
finished queries and binds nothing. Who runs the conditions is `rows` and `expectations`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.spec.models import Length, Matches, NotNull, OneOf, RowCheck

_SPACE = r"[\s\x0B\x{85}\p{Z}]"
"""Unicode's white space, in RE2; the same as in the dbt macro `normalised`."""


@dataclass(frozen=True)
class Rule:
    """What makes a row bad. All SQL is over the columns of the mart."""

    code: str
    """Reason code: the column and what is wrong with it, such as `label_unknown`."""
    column: str
    expected: str
    """What is wanted, for a person."""
    violated: str
    """Condition that is true for a bad row, and false or null for a good one."""
    found: str
    """Expression for what such a row has instead; null when there is nothing to tell."""


def rules_of(check: RowCheck) -> tuple[Rule, ...]:
    """The rules of one check. A null passes, but for `not_null` and `length`: presence is asked for there."""
    column, value = check.column, f"cast({identifier(check.column)} as varchar)"
    match check:
        case NotNull():
            return (Rule(f"{column}_missing", column, "a value", f"{value} is null", "null"),)
        case Length():
            return _length_rules(check, value)
        case OneOf():
            known = ", ".join(literal(known) for known in check.values)
            expected = f"one of {', '.join(check.values)}"
            return (Rule(f"{column}_unknown", column, expected, f"{value} not in ({known})", value),)
        case Matches():
            expected = f"something that matches {check.regex}"
            violated = f"not regexp_matches({value}, {literal(check.regex)})"
            return (Rule(f"{column}_mismatch", column, expected, violated, value),)


def _length_rules(check: Length, value: str) -> tuple[Rule, ...]:
    trimmed = f"regexp_replace({value}, '^{_SPACE}+|{_SPACE}+$', '', 'g')"
    # A missing value has no characters, so that `min: 1` also asks for presence.
    length = f"coalesce(length({trimmed}), 0)"
    found = f"{length} || ' characters'"
    rules = []
    if check.min > 0:
        expected = f"at least {check.min} character(s)"
        rules.append(
            Rule(f"{check.column}_too_short", check.column, expected, f"{length} < {check.min}", found)
        )
    if check.max is not None:
        expected = f"at most {check.max} character(s)"
        rules.append(
            Rule(f"{check.column}_too_long", check.column, expected, f"{length} > {check.max}", found)
        )
    return tuple(rules)


def literal(text: str) -> str:
    """`text` as an SQL string expression.

    DuckDB's strings have no escape but the doubled quote. Colons are spelt out because SQLAlchemy, through
    which Great Expectations sends its queries, takes `:word` for a bound value, in a string too.
    """
    quoted = "'" + text.replace("'", "''").replace(":", "' || chr(58) || '") + "'"
    return f"({quoted})" if ":" in text else quoted


def identifier(name: str) -> str:
    """`name` as an SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
