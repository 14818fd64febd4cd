"""A delivery that is gone, from the lake: for corrections that came when it was not there any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeloop.records import StageRecord
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.sources.kept import KeptDelivery

KEPT = "kept"
"""The input of ingest that says that the lake was read, and not the delivery."""


def kept_delivery(
    context: StageContext, partition: str, corrections: str
) -> tuple[KeptDelivery, StageRecord] | None:
    """What the lake has of the day, and the record of its ingest.

    None where it has nothing, or where nothing is to be corrected in it.

    `corrections` is the digest of those of the day.
    """
    ingested = context.lake.ledger.latest("ingest", partition, "done")
    if ingested is None or ingested.counts is None or not corrections:
        return None
    if ingested.inputs.get("corrections") == corrections and KEPT not in ingested.inputs:
        return None
    from lakeloop.sources.kept import KeptDelivery

    versions = {table: _version(context, table, ingested) for table in ("raw", "quarantine")}
    day: dict[str, Any] = {"partition": partition}
    kept = KeptDelivery(
        partition,
        ingested.inputs.get("drop", ""),
        context.lake.uri("raw"),
        context.loop.source,
        ingested.counts,
        lambda: context.lake.scan("raw", version=versions["raw"], **day),
        lambda: (
            context.lake.read("quarantine", version=versions["quarantine"], **day, stage="ingest")
            .sort_by([("source_file", "ascending"), ("source_line", "ascending")])
            .to_batches()
        ),
    )
    return kept, ingested


def _version(context: StageContext, table: str, ingested: StageRecord) -> int:
    """The version with what ingest recorded: the newest, but where a run was killed before it recorded."""
    newest, recorded = context.lake.version(table), ingested.outputs[table]
    equals = {"partition": ingested.partition, **({"stage": "ingest"} if table == "quarantine" else {})}
    if context.lake.digest(table, version=newest, like=recorded, **equals) == recorded:
        return newest
    return int(ingested.outputs[f"{table}_version"])
