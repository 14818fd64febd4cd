"""Stage `labels`: answers that come apart from their rows, those of one delivery, into the table `labels`.

They may be of rows of any day, of rows that are there and of others that come later. Which answer counts for
a row is found out when its day is built (`transform`); here it is found which days have to be built anew.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.errors import ConfigurationError
from lakeloop.faults import reach
from lakeloop.plural import counted
from lakeloop.records import StageRecord
from lakeloop.spec.days import require_day
from lakeloop.spec.identity import identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.labelled import DAYS, VERSION
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.lake.claims import Fence
    from lakeloop.lake.draft import Published
    from lakeloop.sources.base import Delivery
    from lakeloop.sources.spool import Spool

_TO_DO = "put them there, or name a day that has some: --partition"
_SHOWN = 5
_TOLD = ["partition", "origin", "row_key", "answer", "labelled_at", "source_file", "source_line"]


def labels(context: StageContext, partition: str) -> StageRecord:
    """Read the answers that were delivered on the day `partition`; unchanged when they were read before.

    Ends skipped when there are none of this day.

    Raises:
        ConfigurationError: `partition` is no day, the loop file has no section `labels`, or the source is not
            what it says.
        CountsError: records read are not answers + quarantined + duplicates; nothing was published.
        DataError: the delivery as a whole is not what is declared; nothing was published.
        FenceError: a newer attempt took over.
        TransientError: the delivery changed while it was read; nothing was published.
    """
    from lakeloop.sources.registry import open_source
    from lakeloop.sources.seen import find

    require_day(partition)
    loop = context.loop.of_labels
    if loop is None:
        raise ConfigurationError(
            "the loop's answers come with its rows",
            where=f"{context.loop.name} labels {partition}",
            expected="a section `labels` in the loop file, for answers that come apart from their rows",
            remedy="lakeloop ingest reads rows and answers",
        )
    with context.stage("labels", partition, config=identity(context.loop, "labels")) as stage:
        source = open_source(loop, context.settings)
        delivery = find(source, loop, context.settings, partition)
        if delivery is None:
            return stage.skipped(source.absence(partition), to_do=_TO_DO)
        stage.inputs(drop=delivery.identity)
        if done := stage.unchanged():
            return done
        return _labels(context, stage, loop, delivery)


def _labels(context: StageContext, stage: StageSession, loop: LoopSpec, delivery: Delivery) -> StageRecord:
    from lakeloop.lake.tables import raw_schema
    from lakeloop.sources.intake import read_delivery
    from lakeloop.sources.spool import Spool

    fence, day = stage.claim(), stage.partition
    before = _last_told(context, day) or fence.pinned["labels"]
    read = Spool(raw_schema(loop), stage.work)
    with read, read_delivery(delivery, loop, day, stage.work, read, "labels") as intake:
        of_stage = {"partition": day, "stage": "labels"}
        reach("labels.before-commit")
        bad = context.lake.replace("quarantine", intake.quarantine(), where=of_stage, fence=fence)
        told = _publish(context, stage, loop, read, fence)
        reach("labels.after-commit")
    days, rows, waiting = _about(context, stage, before, told.version)
    counts = intake.counts
    stage.tracker.log({**{f"rows/{name}": value for name, value in counts}, "labels/waiting": waiting})
    reasons = ", ".join(f"{reason} {records}" for reason, records in intake.reasons.items())
    return stage.done(
        reason=f"{counted(counts.read, 'answer')} of {delivery.name}: {counts.accepted} accepted,"
        f" {counts.quarantined} quarantined{f' ({reasons})' if reasons else ''},"
        f" {counts.duplicates} exact duplicate(s) dropped;"
        f" of {counted(rows, 'row')} of {counted(len(days), 'day')}"
        + (f", {waiting} wait for their row" if waiting else ""),
        outputs={
            "labels": told.digest,
            VERSION: str(told.version),
            "quarantine": bad.digest,
            "quarantine_version": str(bad.version),
            DAYS: json.dumps(days),
        },
        counts=counts,
        metrics={"labels/waiting": float(waiting)},
        links={"drop": delivery.where},
        examples=[
            f"{each.file}, line {each.line}: {each.reason}: {each.detail}" for each in intake.shown[:_SHOWN]
        ],
    )


def _publish(
    context: StageContext, stage: StageSession, loop: LoopSpec, read: Spool, fence: Fence
) -> Published:
    """The answers of the delivery in the place of those that it had before."""
    import duckdb
    import pyarrow as pa

    from lakeloop.lake.tables import FROM_SOURCE, raw_schema
    from lakeloop.transform.labels import answers_read
    from lakeloop.transform.source import column_of, key_of, time_of

    where = {"partition": stage.partition, "origin": FROM_SOURCE}
    columns = {"key": key_of(loop), "answer": column_of(loop, loop.task.target), "time": time_of(loop)}
    rows = pa.RecordBatchReader.from_batches(raw_schema(loop), read.batches())
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        told = answers_read(connection, rows, columns, blank=loop.task.optional_target)
        return context.lake.replace("labels", told, where=where, fence=fence)


def _last_told(context: StageContext, day: str) -> int | None:
    """The version of the table in which the days of this delivery's rows were last told.

    Not the one that this attempt found: an attempt that was killed behind its commit told nobody which days
    have lost an answer.
    """
    told = context.lake.ledger.latest("labels", day, "done")
    return int(told.outputs[VERSION]) if told else None


def _about(
    context: StageContext, stage: StageSession, before: int, version: int
) -> tuple[dict[str, str], int, int]:
    """Which days have rows that these answers are of, or were; see `transform.labels.about`."""
    from lakeloop.scratch.duckdb import open_duckdb
    from lakeloop.transform.labels import about
    from lakeloop.transform.source import key_columns, key_of

    def told(at: int, **day: Any) -> pa.RecordBatchReader:
        return context.lake.scan("labels", version=at, columns=_TOLD, **day)

    rows = context.lake.scan("raw", columns=["partition", *key_columns(context.loop)])
    with (
        tempfile.TemporaryDirectory(dir=stage.work) as folder,
        open_duckdb(Path(folder) / "labels.duckdb") as connection,
    ):
        changed = (told(at, partition=stage.partition) for at in (before, version))
        return about(connection, rows, key_of(context.loop), told(version), changed)


def answers_of_day(context: StageContext, partition: str, version: int) -> str:
    """A digest of the answers that the rows of a day have got, as of a version of table `labels`."""
    from lakeloop.scratch.duckdb import open_duckdb
    from lakeloop.transform.labels import NONE, digests
    from lakeloop.transform.source import key_columns, key_of

    columns = ["partition", *key_columns(context.loop)]
    rows: Any = context.lake.scan("raw", columns=columns, partition=partition)
    told = context.lake.scan("labels", version=version, columns=_TOLD)
    with (
        tempfile.TemporaryDirectory(prefix="lakeloop-") as folder,
        open_duckdb(Path(folder) / "labels.duckdb") as connection,
    ):
        return digests(connection, rows, key_of(context.loop), told).get(partition, NONE)


def pending(standing: Standing) -> Iterator[Pending]:
    """Days whose answers were never read, or are others since.

    Those older than the first day that was ingested, of rows or of answers, are left alone.
    """
    read = {one.partition for one in standing.entries if one.stage == "labels" and one.status == "done"}
    begun = min((*read, *(day.partition for day in standing.days)), default="")
    for day in standing.labels_there:
        if begun and day > begun and day not in read:
            yield Pending("labels", day, f"the labels of {day} were never read")
        elif day in standing.labels_changed:
            yield Pending("labels", day, f"the labels of {day} are others since they were read")
