"""Checks of a moment: `time_between`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from lakeloop.quality.kinds.base import Found, Rule, rows_expectation, value_of
from lakeloop.scratch.duckdb import literal
from lakeloop.spec.checks import TimeBetween, moment_of
from lakeloop.spec.quoting import identifier

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

_DAY = timedelta(days=1)


class TimeBetweenKind:
    """Kind `time_between`."""

    def rules(self, check: TimeBetween) -> tuple[Rule, ...]:
        column, name = check.column, identifier(check.column)
        zone, rules = check.zone or "UTC", []
        if check.min is not None:
            early, words = f"{name} < {_moment(check.min, zone)}", f"not before {_words(check.min)}"
            rules.append(Rule(f"{column}_too_early", column, words, early, value_of(check)))
        if check.max is not None:
            late, words = f"{name} > {_moment(check.max, zone)}", f"not after {_words(check.max)}"
            rules.append(Rule(f"{column}_too_late", column, words, late, value_of(check)))
        return tuple(rules)

    def expectation(self, check: TimeBetween, rule: Rule) -> tuple[Expectation, Found]:  # noqa: ARG002
        return rows_expectation(rule)  # GX knows no moments relative to the day of a row


def _words(said: str) -> str:
    moment = moment_of(said)
    if isinstance(moment, datetime):
        return said
    return "the end of the day" if not moment else f"{said} from the end of the day"


def _moment(said: str, zone: str) -> str:
    """SQL for the moment; whole days are those of the calendar of `zone`, also where clocks change."""
    moment = moment_of(said)
    if isinstance(moment, datetime):
        fixed = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
        return f"cast({literal(fixed.astimezone(UTC).isoformat())} as timestamptz)"
    days, rest = divmod(moment + _DAY, _DAY)
    end = f'timezone({literal(zone)}, cast("partition" as timestamp) + to_days({days}))'
    return f"{end} + to_hours({rest // timedelta(hours=1)})"
