"""Stage `dataset`: the published days up to a partition, frozen as a data set for training.

How rows are dealt is `lakeloop.datasets.assemble`, the folder of a data set is `lakeloop.datasets.freeze`;
here is what connects them with the lake and the ledger. Whether a training is due is `plan`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.datasets.published import PublishedPartition, describe_days, published_partitions
from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.measures.leaking import LeakReport
from lakeloop.plural import counted
from lakeloop.records import Counts, StageRecord
from lakeloop.spec.identity import identity
from lakeloop.stages.frame.beside import require_same_columns
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.training.dealt import deal_out, decided_by, refuse_leaks

if TYPE_CHECKING:
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
        stage.inputs(**decided_by(context, published))
        if (done := stage.unchanged()) and context.lake.files.exists(done.outputs["dataset"]):
            refuse_leaks(LeakReport.of(done.leaks), context.loop.leaks, f"{context.loop.name} {partition}")
            return done
        return _freeze(context, stage, published)


def _freeze(
    context: StageContext, stage: StageSession, published: Mapping[str, PublishedPartition]
) -> StageRecord:
    from lakeloop.datasets.freeze import describe
    from lakeloop.datasets.missing import answer_counts, missing_answers

    version = context.lake.version("mart")
    dealt = deal_out(context, published, version)
    assembled, task = dealt.assembled, context.loop.task
    digests = {day: found.digest for day, found in published.items()}
    card = describe(assembled, task, digests)
    refuse_leaks(dealt.leaks, context.loop.leaks, f"{context.loop.name} {stage.partition}")
    missing = missing_answers(answer_counts(assembled.tables, task), task)
    said = [*_left_out(assembled), missing.words, dealt.leaks.words]
    _store(stage, assembled, card)
    _track(stage, card)
    days = describe_days(published)
    sizes = ", ".join(f"{name} {count}" for name, count in card.rows.items())
    return stage.done(
        reason="; ".join(
            filter(None, (f"{assembled.rows} rows of {len(published)} day(s), {days}: {sizes}", *said))
        ),
        outputs={
            "dataset": card.folder_name,
            "digest": card.digest,
            "rows": str(assembled.rows),
            "mart_version": str(version),
            "partitions": days,
        },
        counts=Counts(
            read=assembled.rows + assembled.left_out,
            accepted=assembled.rows,
            duplicates=assembled.left_out,
        ),
        metrics={
            **{f"rows/{name}": float(count) for name, count in card.rows.items()},
            **({"clean/length": float(assembled.unusual)} if context.loop.clean.length.outliers else {}),
            **({"leaks": float(len(dealt.leaks.leaks))} if dealt.leaks.leaks else {}),
        },
        leaks=dealt.leaks.model_dump_json(),
    )


def _left_out(assembled: Assembled) -> Iterator[str]:
    """In words, the rows that are in no split."""
    yield f"{counted(assembled.duplicates, 'repeated text')} left out" + (
        f", {assembled.similar} much like an earlier one" if assembled.similar else ""
    )
    if assembled.apart:
        yield f"{assembled.apart} left out that share a text or group with a row of the test or validation"
    if assembled.unusual:
        yield f"{counted(assembled.unusual, 'training row')} of unusual length left out"


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
