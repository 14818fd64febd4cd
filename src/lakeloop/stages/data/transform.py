"""Stage `transform`: the raw rows of one day become the rows of `staging`, by the loop's dbt models.

`staging` is what dbt built and nobody has judged yet; `validate` publishes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.errors import TooEarlyError
from lakeloop.faults import reach
from lakeloop.plural import counted, waits_for_label
from lakeloop.records import BuiltModel, Counts, StageRecord
from lakeloop.spec.days import require_day
from lakeloop.spec.identity import identity
from lakeloop.spec.quoting import identifier
from lakeloop.stages.frame.beside import other_columns
from lakeloop.stages.frame.labelled import VERSION, got, lacks
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.lake.claims import Fence
    from lakeloop.lake.draft import Published
    from lakeloop.transform.cleaned import CleanedRows
    from lakeloop.transform.models import Models
    from lakeloop.transform.told import NodeResult

_BUILD = "build"
"""Folder, below the stage's own, with the DuckDB file and what dbt wrote."""


def transform(context: StageContext, partition: str) -> StageRecord:
    """Build the rows of the day `partition`; unchanged when raw, answers that come apart, and dbt models are.

    Rows whose answer comes apart and has not come are left out and counted. Ends skipped when ingest found no
    drop for this day.

    Raises:
        ConfigurationError: `partition` is no day, or a model or its contract is wrong.
        CountsError: raw rows are not staging rows + duplicates that the mart model dropped + rows that wait;
            nothing was written.
        TooEarlyError: the day was not ingested.
        DataError: a data test of dbt failed, or a value does not fit.
        FenceError: a newer attempt took over, or the day is being ingested at this moment.
    """
    from lakeloop.transform.models import models_of, project_digest

    require_day(partition)
    with context.stage("transform", partition, config=identity(context.loop, "built")) as stage:
        ingested = _ingested(context, partition)
        if ingested.status == "skipped":
            return stage.skipped(
                f"nothing to transform: {ingested.reason}", to_do=run_first(context, "ingest", partition)
            )
        models = models_of(context.settings.dbt, context.loop)
        digest = project_digest(context.settings.dbt, models)
        stage.inputs(raw=ingested.outputs["raw"], dbt=f"sha256:{digest}")
        told = context.lake.version("labels") if context.loop.labels else None
        if told is not None:
            from lakeloop.stages.data.labels import answers_of_day

            stage.inputs(labels=answers_of_day(context, partition, told))
        if done := stage.unchanged():
            return done
        return _transform(context, stage, ingested, models, told)


def pending(standing: Standing) -> Iterator[Pending]:
    """Days whose raw rows, or their answers, are not what `staging` was built from."""
    told = got(standing.entries) if standing.loop.labels else {}
    for day in standing.days:
        if day.ingest and not day.transform:
            rows = day.ingest.counts.accepted if day.ingest.counts else 0
            reason = f"{rows} raw rows of {day.partition} are not transformed"
            yield Pending("transform", day.partition, reason)
        elif day.transform and (reads := other_columns(day.transform, standing.loop)):
            yield Pending("transform", day.partition, f"{day.partition} was built when {reads}")
        elif day.transform and lacks(day.transform, told.get(day.partition)):
            reason = f"rows of {day.partition} got labels since they were built"
            yield Pending("transform", day.partition, reason)


def _ingested(context: StageContext, partition: str) -> StageRecord:
    """The newest result of ingest; a skip when that is all there is."""
    ledger = context.lake.ledger
    record = ledger.latest("ingest", partition, "done") or ledger.latest("ingest", partition, "skipped")
    if record is None:
        raise TooEarlyError(
            f"{partition} was not ingested",
            where=f"{context.loop.name} transform {partition}",
            expected="an entry of ingest in the ledger",
            remedy=f"lakeloop ingest {context.loop.name} --partition {partition}",
        )
    return record


def _transform(
    context: StageContext, stage: StageSession, ingested: StageRecord, models: Models, told: int | None
) -> StageRecord:
    """`told` is the version of table `labels`, where answers come apart from their rows."""
    from lakeloop.scratch.folder import kept_folder
    from lakeloop.transform.page import PAGE

    where = f"{context.loop.name} transform {stage.partition}"
    fence = stage.claim()
    version = context.lake.version("raw")
    context.require_as_recorded("raw", ingested, version)
    with kept_folder(stage.work, _BUILD) as folder:
        counts, built_models, nodes = _build(context, stage, version, folder, models, told)
        counts.reconcile(where)
        reach("transform.before-commit")
        staging, cleaned = _commit(context, folder, fence)
        reach("transform.after-commit")
    tests = sum(node.kind == "test" for node in nodes)
    metrics = {"dbt/tests_passed": float(tests), "dbt/seconds": sum(node.seconds for node in nodes)}
    metrics |= cleaned.metrics
    stage.tracker.log({**{f"rows/{name}": value for name, value in counts}, **metrics})
    stage.tracker.table(
        "dbt", ["node", "kind", "status", "seconds"], [list(vars(node).values()) for node in nodes]
    )
    dropped = f", {counted(counts.duplicates, 'duplicate')} dropped by the model" if counts.duplicates else ""
    dropped += f", {waits_for_label(counts.waiting)}" if counts.waiting else ""
    return stage.done(
        reason=f"{counts.read} raw row(s): {counts.accepted} built{dropped}{cleaned.words}; "
        f"{tests} dbt test(s) passed",
        outputs={
            "staging": staging.digest,
            "staging_version": str(staging.version),
            "raw_version": str(version),
            **({} if told is None else {VERSION: str(told)}),
        },
        counts=counts,
        metrics=metrics,
        links={
            "dbt": str(stage.work / _BUILD),
            "dbt_docs": str(context.settings.dbt_docs(context.loop.name) / PAGE),
        },
        models=built_models,
    )


def _build(
    context: StageContext, stage: StageSession, version: int, folder: Path, models: Models, told: int | None
) -> tuple[Counts, tuple[BuiltModel, ...], tuple[NodeResult, ...]]:
    """Give dbt the day's raw rows, let it build, count what is in its file.

    dbt is given one partition at a pinned version, and a file in which a person can run dbt again. Its delta
    plugin would hand it all of the table, and would ignore version 0. Files on a local disk are read where
    they lie; of every other store DuckDB needs extensions, which are not there offline, and gets a copy.
    """
    from lakeloop.scratch.duckdb import count, open_duckdb
    from lakeloop.spec.reading.load import loop_names
    from lakeloop.transform.built import built, dropped_duplicates, rows_of
    from lakeloop.transform.dbt import DATABASE_FILE, build
    from lakeloop.transform.models import page_digest, runnable
    from lakeloop.transform.page import DocsPage
    from lakeloop.transform.source import hand_over
    from lakeloop.transform.told import by_model

    loop, database = context.loop, folder / DATABASE_FILE
    pinned: Any = {"version": version, "partition": stage.partition}
    with open_duckdb(database) as connection:
        raw = context.lake.row_files("raw", **pinned) or context.lake.scan("raw", **pinned)
        answers = None if told is None else context.lake.scan("labels", version=told)
        read = hand_over(connection, loop, raw, answers)
        waiting = 0 if told is None else read - count(connection, f"{identifier(loop.name)}.raw")
    project = context.settings.dbt
    nodes = build(
        runnable(project, models, loop_names(context.settings), folder / "project"),
        database,
        loop=loop.name,
        clean=loop.clean,
        target=folder / "dbt",
        cache=context.settings.cache / "dbt",
        kept_as=stage.work / _BUILD / DATABASE_FILE,
        own=None if models.generated else project,
        docs=DocsPage(context.settings.dbt_docs(loop.name), page_digest(project, models)),
    )
    with open_duckdb(database, read_only=True) as connection:
        accepted, duplicates = built(connection, loop.name), dropped_duplicates(connection, loop.name)
        rows = rows_of(connection, nodes)
    counts = Counts(read=read, accepted=accepted, duplicates=duplicates, waiting=waiting)
    return counts, by_model(nodes, rows), nodes


def _commit(context: StageContext, folder: Path, fence: Fence) -> tuple[Published, CleanedRows]:
    """Stream what dbt has built through the cleaning into `staging`."""
    from lakeloop.scratch.duckdb import open_duckdb
    from lakeloop.transform.built import built_rows
    from lakeloop.transform.cleaned import CleanedRows
    from lakeloop.transform.dbt import DATABASE_FILE

    # Equal rows go on having the digest that they had, also when a version before made it in another way.
    like = context.lake.ledger.digest_before("transform", fence.partition, "staging")
    day = {"partition": fence.partition}
    with open_duckdb(folder / DATABASE_FILE, read_only=True) as connection:
        rows = CleanedRows(built_rows(connection, context.loop.name), context.loop)
        return context.lake.replace("staging", rows.reader(), where=day, fence=fence, like=like), rows
