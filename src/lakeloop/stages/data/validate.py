"""Stage `validate`: write, audit, publish. Rows of `staging` become rows of `mart`, or of `quarantine`.

Bad rows are set aside one by one; of good rows that are near-duplicates the first stays; then the checks of
the day look at what is left. When one of them fails the day stops here: its report says why, and neither mart
nor quarantine is touched.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.errors import DataError, TooEarlyError
from lakeloop.faults import reach
from lakeloop.records import Counts, StageRecord
from lakeloop.spec.days import require_day
from lakeloop.spec.identity import identity
from lakeloop.spec.quoting import quote
from lakeloop.stages.data.absence import absence
from lakeloop.stages.data.published import track_rows
from lakeloop.stages.data.restated import restated
from lakeloop.stages.data.unlabelled import nothing_to_publish, waits_whole
from lakeloop.stages.data.whole import keep_whole
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    import duckdb

    from lakeloop.lake.claims import Fence
    from lakeloop.lake.draft import Published
    from lakeloop.quality.account import Account
    from lakeloop.quality.alike import Conflicts
    from lakeloop.quality.checkpoint import Audit
    from lakeloop.quality.history import Aspect
    from lakeloop.quality.profile import Profile
    from lakeloop.quality.quarantine import Row, SetAside
    from lakeloop.spec.loop import LoopSpec

log = logging.getLogger(__name__)

_SHOWN_ROWS = 20


def validate(context: StageContext, partition: str) -> StageRecord:
    """Judge the rows of the day `partition` and publish it; unchanged when rows, checks and account are.

    Ends skipped when there was nothing to transform.

    Raises:
        ConfigurationError: `partition` is no day, or a check cannot be evaluated.
        CountsError: a line was lost or doubled between ingest and here; nothing was published.
        DataError: a check of the day failed, nothing was published.
        TooEarlyError: the day was not transformed as it is.
        FenceError: a newer attempt took over, or the day is being ingested or transformed at this moment.
    """
    require_day(partition)
    with context.stage("validate", partition, config=identity(context.loop, "mart")) as stage:
        transformed = context.lake.ledger.latest("transform", partition)
        if transformed is not None and transformed.status == "skipped":
            return stage.skipped(
                f"nothing to validate: {transformed.reason}", to_do=run_first(context, "ingest", partition)
            )
        ingested, transformed = _made(context, partition)
        counted = _counts(ingested).model_dump_json()
        stage.inputs(staging=transformed.outputs["staging"], ingested=counted)
        if done := stage.unchanged():
            return done
        if waits_whole(transformed):
            return nothing_to_publish(context, stage, transformed)
        return _validate(context, stage, ingested, transformed)


def pending(standing: Standing) -> Iterator[Pending]:
    """Days that are built and not published as they are now."""
    for day in standing.days:
        if day.transform and not day.validate:
            rows = day.transform.counts.accepted if day.transform.counts else 0
            if day.standing is None and waits_whole(day.transform):
                continue
            reason = f"{rows} rows of {day.partition} are built, not published"
            yield Pending("validate", day.partition, reason)
        elif day.validate and (known := known_now(day.validate, standing.loop)):
            rows, names = sum(known.values()), ", ".join(map(quote, known))
            reason = f"{rows} row(s) of {day.partition} wait for re-admission: {names} is known now"
            yield Pending("validate", day.partition, reason)


def known_now(record: StageRecord, loop: LoopSpec) -> dict[str, int]:
    """Of the answers that were unknown when the day was judged, those that `loop` knows -> their rows."""
    if not record.unknown:
        return {}
    still = loop.task.unknown(record.unknown, normalise=False)
    return {answer: rows for answer, rows in record.unknown.items() if answer not in still}


def _made(context: StageContext, partition: str) -> tuple[StageRecord, StageRecord]:
    """The newest records of ingest and transform, proved to belong together.

    Raises:
        TooEarlyError: one is missing, or the day was ingested again since it was transformed.
    """
    ledger, where = context.lake.ledger, f"{context.loop.name} validate {partition}"
    remedy = f"lakeloop transform {context.loop.name} --partition {partition}"
    ingested, transformed = (
        ledger.latest("ingest", partition, "done"),
        ledger.latest("transform", partition, "done"),
    )
    if ingested is None or transformed is None:
        raise TooEarlyError(
            f"{partition} was not transformed",
            where=where,
            expected="entries of ingest and transform in the ledger",
            remedy=remedy,
        )
    if transformed.inputs["raw"] != ingested.outputs["raw"]:
        raise TooEarlyError(
            f"{partition} was ingested again since it was transformed",
            where=where,
            expected=f"rows made from raw {ingested.outputs['raw'][:12]}",
            found=f"rows made from raw {transformed.inputs['raw'][:12]}",
            remedy=remedy,
        )
    return ingested, transformed


def _counts(record: StageRecord) -> Counts:
    assert record.counts is not None, f"{record.stage} records counts"
    return record.counts


@dataclass(frozen=True)
class _CheckedRows:
    """What the row checks made of the day; the rows themselves are in the DuckDB file."""

    reasons: dict[str, int]
    """Rows that are quarantined here, by reason, most frequent first."""
    unknown: dict[str, int]
    """Answers that the task does not know -> rows that are quarantined for nothing else."""
    set_aside: tuple[SetAside, ...]
    """By ingest and here."""
    examples: tuple[Row, ...]
    """The first that ingest refused, then the first that are quarantined here."""
    conflicts: Conflicts
    counts: Counts
    account: Account
    profile: Profile
    aspects: tuple[Aspect, ...]
    """By which the day is compared with those before."""

    @property
    def words(self) -> str:
        """A sentence for a person."""
        reasons = ", ".join(f"{reason} {rows}" for reason, rows in self.reasons.items())
        return (
            f"{self.counts.accepted} row(s) published, {self.counts.quarantined} quarantined"
            + (f" ({reasons})" if reasons else "")
            + (f", {self.counts.duplicates} near-duplicate(s) left out" if self.counts.duplicates else "")
            + (f", {self.conflicts}" if self.conflicts.texts else "")
        )


def _validate(
    context: StageContext, stage: StageSession, ingested: StageRecord, transformed: StageRecord
) -> StageRecord:
    from lakeloop.scratch.folder import kept_folder

    fence = stage.claim()
    with kept_folder(stage.work, "audit") as folder:
        database = folder / "audit.duckdb"
        judged = _judge(context, stage, ingested, transformed, database)
        audit, page = _audit(context, stage, judged, folder)
        metrics = _metrics(judged, audit)
        _track(stage, judged, audit, metrics)
        if audit.failed:
            raise _stopped(context, stage, judged, audit, page)
        reach("validate.before-publish")
        quarantine, mart = _publish(context, stage.partition, database, fence)
        reach("validate.after-publish")
        database.unlink()  # mart and quarantine have what is in it; of a day that is stopped it stays
    track_rows(stage, "mart", mart)
    for check in audit.warned:
        log.warning("%s %s: expected %s", context.loop.name, check.name, check.expected)
    if absent := absence(context, stage.partition):
        log.warning("%s: %s", context.loop.name, absent)
    words, of_before = restated(stage, mart.digest)
    return stage.done(
        reason=f"{judged.words}; {audit.words}{words}" + (f"; {absent}" if absent else ""),
        outputs={
            "mart": mart.digest,
            "mart_version": str(mart.version),
            "quarantine": quarantine.digest,
            "quarantine_version": str(quarantine.version),
        },
        counts=judged.counts,
        metrics=metrics | of_before,
        links={"data_docs": str(page)},
        unknown=judged.unknown,
        profile=judged.profile.json(),
    )


def _metrics(judged: _CheckedRows, audit: Audit) -> dict[str, float]:
    return {
        "checks/passed": float(len([check for check in audit.checks if check.success and check.judged])),
        "checks/warned": float(len(audit.warned)),
        "checks/total": float(len(audit.checks)),
        "quarantined_share": judged.account.quarantined_share,
        "conflicts/texts": float(judged.conflicts.texts),
        "conflicts/rows": float(judged.conflicts.rows),
    }


def _judge(
    context: StageContext,
    stage: StageSession,
    ingested: StageRecord,
    transformed: StageRecord,
    database: Path,
) -> _CheckedRows:
    """Part the rows by the row checks, in a DuckDB file that the day's checks then read."""
    from lakeloop.quality import alike, quarantine, rows
    from lakeloop.quality.quarantine import Row, Wanted
    from lakeloop.scratch.duckdb import count, open_duckdb

    where = f"{context.loop.name} validate {stage.partition}"
    version = context.lake.version("staging")
    context.require_as_recorded("staging", transformed, version)
    pinned: Any = {"version": version, "partition": stage.partition}
    with open_duckdb(database) as connection:
        staging = context.lake.row_files("staging", **pinned) or context.lake.scan("staging", **pinned)
        rows.give_verdicts(connection, staging, context.loop)
        reasons = rows.reason_counts(connection)
        if reasons:
            keep_whole(context, ingested, connection)
        else:
            rows.reject(connection, context.loop)
        counts = Counts(
            read=_counts(transformed).accepted,
            accepted=count(connection, rows.GOOD),
            quarantined=count(connection, rows.REJECTED),
            duplicates=rows.duplicates(connection),
        ).reconcile(where)
        before = Wanted(partition=stage.partition, stage="ingest")
        refused = quarantine.reasons(context.lake, before)
        account = _account(ingested, transformed, counts, refused)
        account.require_balanced(where)
        profile, aspects = _compared(context, stage.partition, connection, account)
        first = rows.rejected(connection, _SHOWN_ROWS).read_all().to_pylist()
        return _CheckedRows(
            reasons=reasons,
            unknown=rows.unknown_answers(connection, context.loop) if reasons else {},
            set_aside=(*refused, *quarantine.tally(connection, rows.REJECTED)),
            examples=(*quarantine.rows(context.lake, before, limit=_SHOWN_ROWS), *map(Row.of, first)),
            conflicts=alike.conflicts(connection),
            counts=counts,
            account=account,
            profile=profile,
            aspects=aspects,
        )


def _compared(
    context: StageContext, partition: str, connection: duckdb.DuckDBPyConnection, account: Account
) -> tuple[Profile, tuple[Aspect, ...]]:
    """The day beside those published before it, as far as the loop file asks for that; and its numbers.

    The tables that the day's checks read beside the rows are filled.
    """
    import pyarrow as pa

    from lakeloop.quality.expectations import ACCOUNT
    from lakeloop.quality.history import FIGURES, compare, figures
    from lakeloop.quality.profile import Profile, take_profile
    from lakeloop.scratch.duckdb import fill

    lines = {"lines": account.lines_read, "quarantined": account.quarantined}
    profile = take_profile(connection, context.loop, partition, **lines)
    aspects: tuple[Aspect, ...] = ()
    days = 0
    if rules := context.loop.checks.history:
        published = context.lake.ledger.days_before("validate", partition, rules.days)
        before = [(one.partition, kept) for one in published if (kept := Profile.of(one.profile))]
        aspects, days = compare(partition, profile, before, rules), len(before)
    fill(connection, "main", FIGURES, pa.Table.from_pylist([figures(aspects, days)]))
    line = {**asdict(account), "quarantined_share": account.quarantined_share}
    fill(connection, "main", ACCOUNT, pa.Table.from_pylist([line]))
    return profile, aspects


def _account(
    ingested: StageRecord, transformed: StageRecord, here: Counts, refused: Sequence[SetAside]
) -> Account:
    """What became of the lines of the day; of ingest's counts, the lines that really are in quarantine."""
    from lakeloop.quality.account import Account

    there = {"quarantined": sum(one.rows for one in refused)}
    return Account.of(
        _counts(ingested).model_copy(update=there),
        _counts(transformed),
        good=here.accepted,
        rejected=here.quarantined,
        duplicates=here.duplicates,
    )


def _audit(
    context: StageContext, stage: StageSession, judged: _CheckedRows, folder: Path
) -> tuple[Audit, Path]:
    """Run the day's checks and write the report, whatever they find."""
    from lakeloop.quality.checkpoint import run_checks
    from lakeloop.quality.expectations import checks_of
    from lakeloop.quality.page import DayReport

    loop = context.loop
    audit = run_checks(folder / "audit.duckdb", checks_of(loop, judged.aspects), name=loop.name)
    docs = context.settings.docs(loop.name) / stage.partition
    report = DayReport(
        loop=loop.name,
        partition=stage.partition,
        attempt=context.attempt.token,
        audit=audit,
        account=asdict(judged.account),
        set_aside=judged.set_aside,
        examples=judged.examples,
        conflicts=judged.conflicts,
    )
    page = report.write(docs)
    shutil.rmtree(docs / "gx", ignore_errors=True)  # pages that earlier versions wrote of the day
    return audit, page


def _stopped(
    context: StageContext, stage: StageSession, judged: _CheckedRows, audit: Audit, page: Path
) -> DataError:
    from lakeloop.quality.quarantine import causes

    failed = audit.failed
    found = "; ".join(f"{check.name}: {check.found}" for check in failed)
    why = causes(judged.set_aside, judged.account.lines_read)
    return DataError(
        f"{len(failed)} of {len(audit.checks)} checks failed; nothing of the day was published",
        where=f"{context.loop.name} validate {stage.partition}",
        expected="; ".join(f"{check.name}: {check.expected}" for check in failed),
        found="\n    ".join((found, *why)),
        remedy=f"read {page}; then correct the source and ingest the day again, or change `checks`",
    )


def _publish(
    context: StageContext, partition: str, database: Path, fence: Fence
) -> tuple[Published, Published]:
    """Stream the rows that were judged into the lake."""
    from lakeloop.quality import rows
    from lakeloop.scratch.duckdb import open_duckdb

    day = {"partition": partition}
    # Equal rows go on having the digest that they had: a data set is made of days with these.
    like = context.lake.ledger.digest_before("validate", partition, "mart")
    with open_duckdb(database, read_only=True) as connection:
        # Quarantine first: killed in between, a bad row is seen in two places, and never in none.
        bad, good = rows.rejected(connection), rows.good_rows
        quarantine = context.lake.replace("quarantine", bad, where={**day, "stage": "validate"}, fence=fence)
        return quarantine, context.lake.replace("mart", good(connection), where=day, fence=fence, like=like)


def _track(stage: StageSession, judged: _CheckedRows, audit: Audit, metrics: dict[str, float]) -> None:
    """Tell the tracker how the checks went: no text of rows leaves the lake."""
    stage.tracker.log({**{f"rows/{name}": value for name, value in judged.counts}, **metrics})
    stage.tracker.table(
        "quarantine by reason", ["reason", "rows"], [list(item) for item in judged.reasons.items()]
    )
    results = [[check.name, check.success, check.expected] for check in audit.checks]
    stage.tracker.table("checks", ["check", "success", "expected"], results)
