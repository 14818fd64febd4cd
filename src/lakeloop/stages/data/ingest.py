"""Stage `ingest`: the delivery of one day becomes rows of `raw`, every bad record a row of `quarantine`.

Rows are written beside the table while they are read; counts are proved before anything is published.
Quarantine is published before raw, both under one fence; the ledger entry that makes them one result comes
last. A run that is killed anywhere in between is simply run again, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lakeloop.faults import reach
from lakeloop.records import StageRecord
from lakeloop.spec.days import require_day
from lakeloop.spec.identity import identity
from lakeloop.spec.quoting import plain
from lakeloop.spec.reading.nearest import nearest
from lakeloop.stages.data.published import track_rows
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.progress import reset_days
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.lake.draft import Published
    from lakeloop.sources.base import Delivery
    from lakeloop.sources.corrected import CorrectedDelivery
    from lakeloop.sources.intake import Intake
    from lakeloop.sources.kept import KeptDelivery


_SHOWN_FIELDS = 5
_SHOWN_RECORDS = 5

_TO_DO = "put it there, or name a day that has data: --partition; lakeloop check {} says which there are"


def ingest(context: StageContext, partition: str) -> StageRecord:
    """Read the delivery of the day `partition` and publish it; unchanged when it was published before.

    Ends skipped, with the place that was looked at, when there is nothing for this day.

    Raises:
        ConfigurationError: `partition` is no day, or the source is not what the loop file says.
        CountsError: records read are not rows + quarantined + duplicates; nothing was published.
        DataError: the header of a CSV drop is not the declared one; nothing was published.
        FenceError: a newer attempt took over.
        TransientError: the delivery changed while it was read; nothing was published.
    """
    from lakeloop.lake.corrections import corrections_of, digest_of_day
    from lakeloop.sources.corrected import CorrectedDelivery
    from lakeloop.sources.kept import KeptDelivery
    from lakeloop.sources.registry import open_source
    from lakeloop.sources.seen import find
    from lakeloop.stages.frame.emptied import emptied

    require_day(partition)
    with context.stage("ingest", partition, config=identity(context.loop, "raw")) as stage:
        source = open_source(context.loop, context.settings)
        corrections = corrections_of(context.lake, partition)
        mended = digest_of_day(corrections)
        delivery: Delivery | None = find(source, context.loop, context.settings, partition)
        delivery = delivery or emptied(context, source, partition)
        delivery = delivery or _kept(context, stage, mended)
        if delivery is None:
            return stage.skipped(source.absence(partition), to_do=_TO_DO.format(context.loop.name))
        stage.inputs(drop=delivery.identity, **({"corrections": mended} if mended else {}))
        if done := stage.unchanged():
            return done
        left_out = delivery.left_out if isinstance(delivery, KeptDelivery) else 0
        found = CorrectedDelivery(delivery, corrections, context.loop.source)
        return _ingest(context, stage, found, left_out)


def _ingest(
    context: StageContext, stage: StageSession, delivery: CorrectedDelivery, left_out: int
) -> StageRecord:
    """Read the delivery and publish it; `left_out` duplicates of it are known by their number alone."""
    from lakeloop.sources.intake import read_delivery

    lake, fence, day = context.lake, stage.claim(), {"partition": stage.partition}
    draft = lake.draft("raw", where=day, fence=fence)
    with draft, read_delivery(delivery, context.loop, stage.partition, stage.work, draft) as intake:
        reach("ingest.before-quarantine")
        bad, of_stage = intake.quarantine(), {**day, "stage": "ingest"}
        quarantine = lake.replace("quarantine", bad, where=of_stage, fence=fence)
        reach("ingest.before-commit")
        raw = draft.publish(intake.raw_digest)
        reach("ingest.after-commit")
    intake = intake.with_duplicates(left_out)
    _track(stage, intake, delivery, raw)
    record = stage.done(
        reason=_reason(intake, delivery) + _corrected(delivery),
        outputs={
            "raw": raw.digest,
            "raw_version": str(raw.version),
            "quarantine": quarantine.digest,
            "quarantine_version": str(quarantine.version),
        },
        counts=intake.counts,
        metrics=_metrics(intake),
        links={"drop": delivery.where},
        examples=_examples(intake),
    )
    reach("ingest.after-ledger")
    return record


def _kept(context: StageContext, stage: StageSession, corrections: str) -> KeptDelivery | None:
    """What the lake has of a delivery that is gone, when there is something to be corrected in it.

    Its rows stay as they were read: by the loop file of that time, as the record goes on saying.
    """
    from lakeloop.stages.data.kept import KEPT, kept_delivery

    if (found := kept_delivery(context, stage.partition, corrections)) is None:
        return None
    kept, ingested = found
    stage.config = dict(ingested.config)
    stage.inputs(**{KEPT: "in the lake"})
    return kept


def pending(standing: Standing) -> Iterator[Pending]:
    """Days whose delivery was never ingested, or is another one since; and days that somebody had cleared.

    A day older than the first that was ingested is left alone, whenever its delivery came: the loop begins
    where somebody began it. Ingested by hand, it is where the loop begins.
    """
    ingested = {day.partition for day in standing.days}
    cleared = reset_days(standing.entries)
    for day in standing.days_there:
        if day in cleared:
            yield Pending("ingest", day, f"the rows of {day} were cleared by a reset, and its drop is there")
        elif ingested and day > min(ingested) and day not in ingested:
            yield Pending("ingest", day, f"the drop of {day} was never ingested")
        elif day in standing.days_changed:
            yield Pending("ingest", day, f"the drop of {day} is another one since it was ingested")
    for day in standing.days_emptied:
        yield Pending("ingest", day, f"no record of {day} is left in the files that had them")
    for known in standing.days:
        mended = standing.corrections.get(known.partition)
        done = known.ingest.inputs.get("corrections", "") if known.ingest else ""
        if mended and done != mended.digest:
            words = f"{mended.rows} row(s) of {known.partition} were corrected since it was ingested"
            yield Pending("ingest", known.partition, words)
        elif done and not mended:
            words = f"the corrections of {known.partition} were taken back since it was ingested"
            yield Pending("ingest", known.partition, words)


def _reason(intake: Intake, delivery: Delivery) -> str:
    counts = intake.counts
    reasons = ", ".join(f"{reason} {records}" for reason, records in intake.reasons.items())
    lines = f" in {intake.lines} lines" if intake.lines != counts.read else ""
    return (
        f"{counts.read} record(s){lines} of {delivery.name}: {counts.accepted} accepted, "
        f"{counts.quarantined} quarantined{f' ({reasons})' if reasons else ''}, "
        f"{counts.duplicates} exact duplicate(s) dropped{_undeclared(intake)}{_empty(intake)}"
    )


def _corrected(delivery: CorrectedDelivery) -> str:
    """How many records were read as people corrected them, for the end of a sentence."""
    if not delivery.corrections:
        return ""
    away = delivery.corrections - delivery.applied
    gone = f", {away} correction(s) of records that are not there any more" if away else ""
    return f"; {delivery.applied} as they were corrected{gone}"


def _examples(intake: Intake) -> list[str]:
    """The first refused records, one line each."""
    return [
        f"{each.file}, line {each.line}: {each.reason}: {each.detail}; the record: {each.raw or '(empty)'}"
        for each in intake.shown[:_SHOWN_RECORDS]
    ]


def _undeclared(intake: Intake) -> str:
    """The fields that the loop file does not declare, for the end of a sentence; the most frequent first."""
    if not intake.undeclared:
        return ""
    first = [f"{plain(name)} {rows}" for name, rows in list(intake.undeclared.items())[:_SHOWN_FIELDS]]
    more = len(intake.undeclared) - len(first)
    return f"; fields not declared: {', '.join(first)}{f' and {more} more' if more else ''}"


def _empty(intake: Intake) -> str:
    """The columns without any value, for the end of a sentence, and what each may be called now."""
    parts = []
    for name in intake.empty[:_SHOWN_FIELDS]:
        close = nearest(name, list(intake.undeclared))
        parts.append(f"{plain(name)}{f' (is it {plain(close)} now?)' if close else ''}")
    return f"; no value in any row: {', '.join(parts)}" if parts else ""


def _metrics(intake: Intake) -> dict[str, float]:
    read = max(intake.counts.read, 1)
    return {
        "quarantined_share": intake.counts.quarantined / read,
        "duplicate_share": intake.counts.duplicates / read,
        "repeated_keys": float(intake.repeated_keys),
        "undeclared_fields": float(len(intake.undeclared)),
    }


def _track(stage: StageSession, intake: Intake, delivery: Delivery, raw: Published) -> None:
    """Tell the tracker what came in: no text of rows leaves the lake."""
    stage.tracker.log({**{f"rows/{name}": value for name, value in intake.counts}, **_metrics(intake)})
    stage.tracker.table(
        "quarantine by reason", ["reason", "lines"], [list(item) for item in intake.reasons.items()]
    )
    stage.tracker.table(
        "quarantined lines",
        ["source_line", "reason", "column"],
        [[each.line, each.reason, each.column] for each in intake.shown],
    )
    drop = {"name": delivery.name, "identity": delivery.identity}
    track_rows(stage, "raw", raw, drop=drop)
