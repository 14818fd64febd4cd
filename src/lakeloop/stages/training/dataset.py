"""Stage `dataset`: the published days up to a partition, frozen as a data set for training.

How rows are dealt is `lakeloop.datasets.assemble`, the folder of a data set is `lakeloop.datasets.freeze`;
here is what connects them with the lake and the ledger. Whether a training is due is `plan`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.datasets.published import PublishedPartition, describe_days, published_partitions
from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError, FenceError
from lakeloop.plural import counted
from lakeloop.records import Counts, StageRecord
from lakeloop.spec.identity import identity
from lakeloop.stages.frame.beside import require_same_columns
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.datasets.assemble import Assembled
    from lakeloop.datasets.freeze import DatasetCard


def dataset(context: StageContext, partition: str) -> StageRecord:
    """Freeze all published days up to and including `partition` into a folder of the lake.

    Outputs: dataset (name of the folder), digest, rows, mart_version, partitions. Skipped when no day up to
    `partition` is published.

    Raises:
        DataError: a split would be empty, there is nothing to learn from the training rows, or rows do not
            fit the task any more, or were built with other columns beside the text.
        FenceError: a day of the mart is being published at this moment.
    """
    config = identity(context.loop, "dataset")
    with context.stage(context.record_name("dataset"), partition, config=config) as stage:
        entries = context.lake.ledger.entries()
        published = published_partitions(entries, up_to=partition)
        if not published:
            return stage.skipped(
                f"no day of the mart up to {partition} is published",
                to_do=run_first(context, "validate", partition),
            )
        require_same_columns(published, entries, context.loop)
        stage.inputs(**{f"mart/{day}": found.digest for day, found in published.items()})
        if (done := stage.unchanged()) and context.lake.files.exists(done.outputs["dataset"]):
            return done
        return _freeze(context, stage, published)


def _freeze(
    context: StageContext, stage: StageSession, published: Mapping[str, PublishedPartition]
) -> StageRecord:
    from lakeloop.datasets.assemble import assemble
    from lakeloop.datasets.freeze import describe
    from lakeloop.tasks.registry import task_of

    version = context.lake.version("mart")
    rows = _read_published(context, published, version)
    task = context.loop.task
    task_of(task).require_known(rows, context.loop.name)
    clean = context.loop.clean
    assembled = assemble(rows, context.loop.split, task.roles(), task.reads, clean.drop_similar, clean.length)
    digests = {day: found.digest for day, found in published.items()}
    card = describe(assembled, task, digests)
    _store(stage, assembled, card)
    _track(stage, card)
    days = describe_days(published)
    sizes = ", ".join(f"{name} {count}" for name, count in card.rows.items())
    return stage.done(
        reason=f"{assembled.rows} rows of {len(published)} day(s), {days}: {sizes};"
        f" {counted(assembled.duplicates, 'repeated text')} left out"
        + (f", {assembled.similar} much like an earlier one" if assembled.similar else "")
        + (f", {counted(assembled.unusual, 'training row')} of unusual length" if assembled.unusual else ""),
        outputs={
            "dataset": card.folder_name,
            "digest": card.digest,
            "rows": str(assembled.rows),
            "mart_version": str(version),
            "partitions": days,
        },
        counts=Counts(
            read=assembled.rows + assembled.duplicates + assembled.similar,
            accepted=assembled.rows,
            duplicates=assembled.duplicates + assembled.similar,
        ),
        metrics={
            **{f"rows/{name}": float(count) for name, count in card.rows.items()},
            **({"clean/length": float(assembled.unusual)} if clean.length.outliers else {}),
        },
    )


def _store(stage: StageSession, assembled: Assembled, card: DatasetCard) -> None:
    """Put the data set into the lake, unless an equal one is there, of these days or of others."""
    from lakeloop.datasets.freeze import write_dataset

    files = stage.context.lake.files
    if files.exists(card.folder_name):
        return
    # Attempts can overlap (a retry does not wait for the death of the first): each has its own folder.
    with tempfile.TemporaryDirectory(prefix="frozen-", dir=stage.work) as folder:
        write_dataset(assembled, card, Path(folder))
        try:
            files.put(Path(folder), card.folder_name)
        except ArtifactError:
            # Of an equal data set that another attempt stored meanwhile, the card may name other days.
            if not files.exists(card.folder_name):
                raise


def _read_published(
    context: StageContext, published: Mapping[str, PublishedPartition], version: int
) -> pa.Table:
    """The rows of the published days at this version of the mart, proved to be the published ones."""
    import pyarrow as pa

    from lakeloop.lake.marks import digest_of

    tables = []
    for day, found in published.items():
        rows = context.lake.read("mart", version=version, partition=day)
        if (digest := digest_of("mart", rows.to_batches(), found.digest)) != found.digest:
            raise FenceError(
                f"the mart holds other rows of {day} than the ledger says were published",
                where=f"{context.loop.name} mart version {version}",
                expected=f"digest {found.digest[:12]}",
                found=f"digest {digest[:12]}",
                remedy="it is being published now: try again; if it stays so, validate this day again",
            )
        tables.append(rows)
    return pa.concat_tables(tables)


def _track(stage: StageSession, card: DatasetCard) -> None:
    """Counts and the card: no text of rows leaves the lake."""
    names = list(dict.fromkeys(name for profile in card.profiles.values() for name in profile.shares))
    stage.tracker.table(
        f"{card.target} shares",
        [card.target, *card.rows],
        [[name, *(card.profiles[split].shares.get(name, 0.0) for split in card.rows)] for name in names],
    )
    path = stage.work / "dataset.json"
    write_atomically(path, card.model_dump_json(indent=2) + "\n")
    stage.tracker.artifact(
        f"{stage.context.loop.name}-dataset",
        "dataset",
        path,
        {
            "digest": card.digest,
            "rows": dict(card.rows),
            "uri": stage.context.lake.files.uri(card.folder_name),
        },
    )
