"""What must hold before a day is published, as Great Expectations built from the loop file.

Looked at are the rows that are about to be published (each row check once more, now as a gate), the account
of the day (how many rows there were and what became of them), and its figures beside those of the days
before (`history`). Which rows are quarantined is
decided before, in `rows`; running the expectations is `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lakeloop.quality.history import Aspect, Compared, wanted_of
from lakeloop.quality.kinds.base import Found, bad_values, catalogue, share_expectation
from lakeloop.quality.kinds.registry import BATCH_KINDS, KINDS, rules_of
from lakeloop.spec.checks import RowCheck, Severity
from lakeloop.spec.loop import LoopSpec

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

ACCOUNT = "account"
"""Table with one row: `lines_read`, `quarantined`, `duplicates`, `waiting`, `good`,
`quarantined_share`."""


@dataclass(frozen=True)
class Check:
    """One check of a day: an expectation, and words for it."""

    name: str
    table: Literal["good", "account", "figures"]
    expected: str
    expectation: Expectation
    found: Found
    """Words for what GX observed."""
    severity: Severity = "batch"
    """row: rows that fail it are in quarantine already, so that none is left. warn: it stops no day."""
    mostly: float | None = None
    """Share of the rows that has to pass, where the check is of that."""
    compared: tuple[Compared, ...] = ()
    """The numbers that it compares with the days before."""
    judged: bool = True
    """False: there is nothing yet to judge by."""


def checks_of(loop: LoopSpec, aspects: Sequence[Aspect] = ()) -> tuple[Check, ...]:
    """All checks of a day of `loop`, in the order in which a person wants to read them.

    `aspects` are what the day is compared by with the days before.
    """
    of_rows = (*_row_checks(loop), *_batch_checks(loop))
    checks = (*_day_checks(loop), *_key_checks(), *_history_checks(loop, aspects), *of_rows)
    return tuple(_named_apart(checks))


def _day_checks(loop: LoopSpec) -> Iterator[Check]:
    gxe = catalogue()

    limits = loop.checks
    for name, words, limit in (
        ("min", "at least", limits.min_rows),
        ("max", "at most", limits.max_rows),
    ):
        if limit is not None:
            yield _check(
                f"day_{name}_rows",
                f"{words} {limit} row(s) pass",
                gxe.ExpectTableRowCountToBeBetween(**{f"{name}_value": limit}),
                lambda result: f"{result.get('observed_value') or 0} row(s)",
            )
    if least := loop.task.least_targets:
        target = loop.task.target
        yield _check(
            f"day_min_{target}s",
            f"at least {least} different {target}(s)",
            gxe.ExpectColumnUniqueValueCountToBeBetween(column=target, min_value=least),
            lambda result: f"{result.get('observed_value') or 0} different {target}(s)",
        )
    yield _check(
        "day_quarantined_share",
        f"at most {limits.max_quarantined_share:.1%} of the lines in quarantine",
        gxe.ExpectColumnMaxToBeBetween(column="quarantined_share", max_value=limits.max_quarantined_share),
        lambda result: f"{result.get('observed_value') or 0:.1%} of the lines in quarantine",
        table="account",
    )


def _key_checks() -> Iterator[Check]:
    gxe = catalogue()

    yield _check(
        "row_id_not_null",
        "a key in every row",
        gxe.ExpectColumnValuesToNotBeNull(column="row_id"),
        bad_values,
    )
    yield _check(
        "row_id_unique", "each key once", gxe.ExpectColumnValuesToBeUnique(column="row_id"), bad_values
    )


def _row_checks(loop: LoopSpec) -> Iterator[Check]:
    for check in loop.row_checks:
        if not check.quarantines:
            yield _share_check(check)
            continue
        for rule in rules_of(check):
            expectation, found = KINDS[check.kind].expectation(check, rule)
            expected = f"{rule.column}: {rule.expected}"
            yield _check(f"no_{rule.code}", expected, expectation, found, severity="row")


def _batch_checks(loop: LoopSpec) -> Iterator[Check]:
    for check in loop.checks.batch:
        for one in BATCH_KINDS[check.kind].wanted(check):
            yield _check(one.name, one.expected, one.expectation, one.found, severity=check.severity)


def _history_checks(loop: LoopSpec, aspects: Sequence[Aspect]) -> Iterator[Check]:
    rules = loop.checks.history
    for aspect in aspects:
        assert rules is not None, "days are compared by its rules"
        one = wanted_of(aspect, rules.least_days)
        yield Check(
            one.name,
            "figures",
            one.expected,
            one.expectation,
            one.found,
            rules.severity,
            compared=aspect.compared,
            judged=bool(aspect.compared),
        )


def _share_check(check: RowCheck) -> Check:
    """The gate of a check that sets no row aside: all its rules are one check of the day."""
    rules = rules_of(check)
    expectation, found = share_expectation(rules, check.mostly)
    words = " and ".join(rule.expected for rule in rules)
    share = f", in at least {check.mostly:.5g} of the rows" if check.mostly < 1 else ", in all rows"
    return _check(
        f"{check.column}_{check.kind}",
        f"{check.column}: {words}{share}",
        expectation,
        found,
        severity=check.severity,
        mostly=check.mostly,
    )


def _check(
    name: str,
    expected: str,
    expectation: Expectation,
    found: Found,
    table: Literal["good", "account"] = "good",
    severity: Severity = "batch",
    mostly: float | None = None,
) -> Check:
    return Check(name, table, expected, expectation, found, severity, mostly)


def _named_apart(checks: Iterable[Check]) -> Iterator[Check]:
    """`checks`, each with a name of its own, which its expectation has too."""
    taken: dict[str, int] = {}
    for check in checks:
        times = taken[check.name] = taken.get(check.name, 0) + 1
        name = check.name if times == 1 else f"{check.name}_{times}"
        check.expectation.meta = {"check": name}
        check.expectation.severity = "warning" if check.severity == "warn" else "critical"
        yield replace(check, name=name)
