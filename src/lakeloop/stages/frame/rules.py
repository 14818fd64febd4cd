"""Whether the rules by which a day was read, built and judged are those that the loop file has now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.records import RECORD_FORMAT, StageRecord
from lakeloop.spec.base import Effect
from lakeloop.spec.identity import identity
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.progress import Day, days_of
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.quality.quarantine import Wanted


def other_rules(context: StageContext, wanted: Wanted) -> dict[str, str]:
    """Day that has rows that fit `wanted`, and other rules by now -> the stage from which on to do it anew.

    Whether a row comes in by them nobody has looked: the ledger is read, and counts of the quarantine.

    Raises:
        ConfigurationError: the loop has no tables yet.
    """
    from lakeloop.quality.quarantine import reasons

    days = {day.partition: day for day in days_of(context.lake.ledger.entries())}
    dbt = models_digest(context)
    found: dict[str, str] = {}
    for one in reasons(context.lake, wanted):
        day = days.get(one.partition)
        if day is None or day.ingest is None:
            continue
        if one.stage == "ingest" and not same_rules(context, day.ingest, "raw"):
            found[one.partition] = "ingest"
        elif one.stage == "validate" and not same_verdict(context, day, dbt):
            found.setdefault(one.partition, "transform")
    return dict(sorted(found.items()))


def same_rules(context: StageContext, record: StageRecord, effect: Effect) -> bool:
    """Whether the loop file says the same as when `record` was made."""
    stage = stage_named(record.stage)
    return (
        record.format == RECORD_FORMAT
        and record.version == stage.version
        and record.config == identity(context.loop, effect)
    )


def same_verdict(context: StageContext, day: Day, dbt: str) -> bool:
    """Whether the rows of the day are built and judged by the same rules as they were."""
    return bool(
        day.transform
        and day.validate
        and same_build(context, day.transform, dbt)
        and same_rules(context, day.validate, "mart")
    )


def same_build(context: StageContext, transformed: StageRecord, dbt: str) -> bool:
    """Whether the rows of the day are built as they were; `dbt` is `models_digest`."""
    return transformed.inputs.get("dbt") == dbt and same_rules(context, transformed, "built")


def models_digest(context: StageContext) -> str:
    """The models as transform names them."""
    from lakeloop.transform.models import models_of, project_digest

    models = models_of(context.settings.dbt, context.loop)
    return f"sha256:{project_digest(context.settings.dbt, models)}"
