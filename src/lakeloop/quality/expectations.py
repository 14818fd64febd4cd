"""What must hold before a day is published, as Great Expectations built from the loop file.

Two things are looked at: the rows that are about to be published (each row check once more, now as a gate),
and the account of the day (how many rows there were and what became of them). Which rows are quarantined is
decided before, in `rows`; running the expectations is `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lakeloop.quality.kinds.base import Found, bad_values, catalogue
from lakeloop.quality.kinds.registry import KINDS, rules_of
from lakeloop.spec.loop import LoopSpec

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

ACCOUNT = "account"
"""Table with one row: `lines_read`, `quarantined`, `duplicates`, `good`, `quarantined_share`."""


@dataclass(frozen=True)
class Check:
    """One check of a day: an expectation, and words for it."""

    name: str
    table: Literal["good", "account"]
    expected: str
    expectation: Expectation
    found: Found
    """Words for what GX observed."""


def checks_of(loop: LoopSpec) -> tuple[Check, ...]:
    """All checks of a day of `loop`, in the order in which a person wants to read them."""
    return (*_day_checks(loop), *_key_checks(), *_row_checks(loop))


def _day_checks(loop: LoopSpec) -> Iterator[Check]:
    gxe = catalogue()

    limits = loop.checks
    yield _check(
        "day_min_rows",
        f"at least {limits.min_rows} row(s) pass",
        gxe.ExpectTableRowCountToBeBetween(min_value=limits.min_rows),
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
    taken: dict[str, int] = {}
    for check in loop.row_checks:
        for rule in rules_of(check):
            expectation, found = KINDS[check.kind].expectation(check, rule)
            times = taken[rule.code] = taken.get(rule.code, 0) + 1
            name = f"no_{rule.code}" if times == 1 else f"no_{rule.code}_{times}"
            yield _check(name, f"{rule.column}: {rule.expected}", expectation, found)


def _check(
    name: str,
    expected: str,
    expectation: Expectation,
    found: Found,
    table: Literal["good", "account"] = "good",
) -> Check:
    expectation.meta = {"check": name}
    return Check(name, table, expected, expectation, found)
