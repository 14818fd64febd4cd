"""Runs the checks of a day with Great Expectations on a DuckDB file.

The context lives in memory and writes nothing: Great Expectations' own pages have their styles and scripts
from the net, so `page` shows what they would. The checks come from `expectations`. Great Expectations is
imported inside functions: it takes three seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.errors import ConfigurationError
from lakeloop.quality.expectations import Check
from lakeloop.quality.history import Compared
from lakeloop.scratch.duckdb import limits
from lakeloop.spec.checks import Severity

if TYPE_CHECKING:
    from great_expectations import Checkpoint, ValidationDefinition
    from great_expectations.checkpoint.checkpoint import CheckpointResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource

EXAMPLES = 20
"""Failing values that GX collects for each check."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found."""

    name: str
    success: bool
    expected: str
    found: str
    severity: Severity = "batch"
    mostly: float | None = None
    compared: tuple[Compared, ...] = ()
    judged: bool = True
    """False: there was nothing yet to judge by."""


@dataclass(frozen=True)
class Audit:
    """The result of all checks of a day."""

    checks: tuple[CheckResult, ...]
    raw: Mapping[str, Any]
    """What Great Expectations says itself, as plain JSON."""

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """What stops the day."""
        return tuple(check for check in self.checks if not check.success and check.severity != "warn")

    @property
    def warned(self) -> tuple[CheckResult, ...]:
        """What failed and does not stop it."""
        return tuple(check for check in self.checks if not check.success and check.severity == "warn")

    @property
    def words(self) -> str:
        """How many passed, for a person; the checks that warn by their names."""
        unjudged = self.not_judged
        passed = len(self.checks) - len(self.failed) - len(self.warned) - len(unjudged)
        warned = ", ".join(check.name for check in self.warned)
        return (
            f"{passed} of {len(self.checks)} checks passed"
            + (f", {len(self.warned)} warn: {warned}" if warned else "")
            + (f", {len(unjudged)} not judged ({unjudged[0].found})" if unjudged else "")
        )

    @property
    def not_judged(self) -> tuple[CheckResult, ...]:
        """Comparisons for which there are too few days."""
        return tuple(check for check in self.checks if not check.judged)


def run_checks(database: Path, checks: Sequence[Check], *, name: str) -> Audit:
    """Evaluate `checks` on their tables in the DuckDB file `database`.

    Args:
        database: no connection that writes may be open to it.
        checks: of any tables of the file.
        name: name of the suite.

    Returns:
        What each check found, in the order of `checks`.

    Raises:
        ConfigurationError: a check could not be evaluated.
    """
    from lakeloop.quality.adapter import url

    context = _context()
    source = context.data_sources.add_sql("duckdb", connection_string=url(database, limits(database)))
    try:
        result = _checkpoint(context, source, checks, name).run()
    finally:
        # Both hold a connection, and DuckDB's lock on the file goes with the last one.
        source.get_execution_engine().close()
        source.get_engine().dispose()
    return Audit(tuple(_results(result, checks)), _plain(result))


def _context() -> EphemeralDataContext:
    from great_expectations import get_context
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # GX sets this logger to INFO when it is imported; at INFO it writes every default into a task's log.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={},
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return get_context(mode="ephemeral", project_config=config)


def _checkpoint(
    context: EphemeralDataContext, source: SQLDatasource, checks: Sequence[Check], name: str
) -> Checkpoint:
    from great_expectations import Checkpoint

    tables = dict.fromkeys(check.table for check in checks)
    validations = [
        _validation(context, source, table, [check for check in checks if check.table == table], name)
        for table in tables
    ]
    return context.checkpoints.add(
        Checkpoint(
            name=name,
            validation_definitions=validations,
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": EXAMPLES},
        )
    )


def _validation(
    context: EphemeralDataContext, source: SQLDatasource, table: str, checks: Sequence[Check], name: str
) -> ValidationDefinition:
    from great_expectations import ExpectationSuite, ValidationDefinition

    suite = ExpectationSuite(f"{name}.{table}", expectations=[check.expectation for check in checks])
    batch = source.add_table_asset(table, table_name=table).add_batch_definition_whole_table("day")
    return context.validation_definitions.add(
        ValidationDefinition(name=f"{name}.{table}", data=batch, suite=context.suites.add(suite))
    )


def _results(result: CheckpointResult, checks: Sequence[Check]) -> Iterator[CheckResult]:
    evaluated: dict[str, Any] = {
        one["expectation_config"]["meta"]["check"]: one
        for validation in result.run_results.values()
        for one in validation.results
    }
    for check in checks:
        one = evaluated[check.name]
        _refuse_exception(check, one.exception_info)
        yield CheckResult(
            check.name,
            bool(one.success),
            check.expected,
            check.found(one.result),
            check.severity,
            check.mostly,
            check.compared,
            check.judged,
        )


def _refuse_exception(check: Check, info: Mapping[str, Any]) -> None:
    """A check that could not be evaluated is neither passed nor failed."""
    # One such mapping, or one for each metric of the expectation.
    for one in (info,) if "raised_exception" in info else info.values():
        if one["raised_exception"]:
            raise ConfigurationError(
                "a check could not be evaluated",
                where=f"check {check.name}",
                expected=check.expected,
                found=str(one["exception_message"]).strip(),
                remedy="correct the check in the loop file",
            )


def _plain(result: CheckpointResult) -> dict[str, Any]:
    validations: list[Any] = list(result.run_results.values())
    return {"success": bool(result.success), "validations": [one.to_json_dict() for one in validations]}
