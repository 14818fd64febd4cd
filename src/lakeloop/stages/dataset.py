"""Whether to train, and what on: the published days up to a partition, frozen as a data set.

How rows are dealt is `lakeloop.datasets.assemble`, when training is due is `lakeloop.datasets.decision`; here
is what connects them with the lake and the ledger.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.datasets.decision import EarlierTraining, TrainingDecision, decide
from lakeloop.datasets.published import PublishedPartition, describe_days, published_partitions
from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError, DataError, FenceError
from lakeloop.records import Counts, StageRecord
from lakeloop.spec.models import LoopSpec
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.datasets.assemble import Assembled
    from lakeloop.datasets.freeze import DatasetCard

_WHEN_NOT_WHAT = {"min_rows", "min_new_rows", "time_limit_minutes"}
"""Keys of `train` that decide when to train, or for how long at most, and not what comes out."""


def decide_training(context: StageContext, partition: str) -> TrainingDecision:
    """Whether a training on the days up to `partition` is due; reads the ledger, changes nothing."""
    return decide_from(context.loop, context.lake.ledger.entries(), partition)


def decide_from(loop: LoopSpec, entries: Sequence[StageRecord], partition: str) -> TrainingDecision:
    """The same from entries of the ledger, oldest first."""
    newest = max(published_partitions(entries), default=partition)
    if newest > partition:
        # A model of the days up to an old one has seen less than those there are, and is not compared with
        # them on the same rows: an old day that is published anew is news for the newest day's training.
        return TrainingDecision(False, f"{partition} is not the newest day: trainings are of {newest}")
    return decide(
        published_partitions(entries, up_to=partition),
        earlier_trainings(entries),
        loop.train,
        training_config(loop),
    )


def training_config(loop: LoopSpec) -> dict[str, Any]:
    """What decides the outcome of a training besides its rows."""
    return {
        "train": loop.train.model_dump(mode="json", exclude=_WHEN_NOT_WHAT),
        "split": loop.split.model_dump(mode="json"),
        "labels": list(loop.task.labels),
    }


def earlier_trainings(entries: Sequence[StageRecord]) -> list[EarlierTraining]:
    """Trainings whose candidates were evaluated, oldest first."""
    datasets = {
        (entry.partition, entry.outputs["digest"]): entry
        for entry in entries
        if entry.stage == "dataset" and entry.status == "done"
    }
    evaluated = [
        (entry, datasets[key])
        for entry in entries
        if entry.stage == "evaluate"
        and entry.status == "done"
        and (key := (entry.partition, entry.inputs["dataset"])) in datasets
    ]
    return [
        EarlierTraining(entry.partition, _days_of(dataset), _as_mapping(entry.config["training"]))
        for entry, dataset in evaluated
    ]


def dataset(context: StageContext, partition: str) -> StageRecord:
    """Freeze all published days up to and including `partition` into a folder of the lake.

    Outputs: dataset (name of the folder), digest, rows, mart_version, partitions.

    Raises:
        DataError: a split would be empty, the training rows have one label only, or rows have a label that
            is not among the task's.
        FenceError: a day of the mart is being published at this moment.
    """
    config = {"split": context.loop.split, "labels": list(context.loop.task.labels)}
    with context.stage("dataset", partition, config=config) as stage:
        published = published_partitions(context.lake.ledger.entries("validate"), up_to=partition)
        if not published:
            return stage.skipped(f"no day of the mart up to {partition} is published")
        stage.inputs(**{f"mart/{day}": found.digest for day, found in published.items()})
        if (done := stage.unchanged()) and context.lake.files.exists(done.outputs["dataset"]):
            return done
        return _freeze(context, stage, published)


def _freeze(
    context: StageContext, stage: StageSession, published: Mapping[str, PublishedPartition]
) -> StageRecord:
    from lakeloop.datasets.assemble import assemble
    from lakeloop.datasets.freeze import describe

    version = context.lake.version("mart")
    rows = _read_published(context, published, version)
    _require_known_labels(context.loop, rows)
    assembled = assemble(rows, context.loop.split)
    digests = {day: found.digest for day, found in published.items()}
    card = describe(assembled, context.loop.task.labels, digests)
    _store(stage, assembled, card)
    _track(stage, card)
    days = describe_days(published)
    sizes = ", ".join(f"{name} {count}" for name, count in card.rows.items())
    return stage.done(
        reason=f"{assembled.rows} rows of {len(published)} day(s), {days}: {sizes};"
        f" {assembled.duplicates} repeated texts left out",
        outputs={
            "dataset": card.folder_name,
            "digest": card.digest,
            "rows": str(assembled.rows),
            "mart_version": str(version),
            "partitions": days,
        },
        counts=Counts(
            read=assembled.rows + assembled.duplicates,
            accepted=assembled.rows,
            duplicates=assembled.duplicates,
        ),
        metrics={f"rows/{name}": float(count) for name, count in card.rows.items()},
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

    from lakeloop.lake.digest import content_digest

    tables = []
    for day, found in published.items():
        rows = context.lake.read("mart", version=version, partition=day)
        if (digest := content_digest(rows)) != found.digest:
            raise FenceError(
                f"the mart holds other rows of {day} than the ledger says were published",
                where=f"{context.loop.name} mart version {version}",
                expected=f"digest {found.digest[:12]}",
                found=f"digest {digest[:12]}",
                remedy="it is being published now: try again; if it stays so, validate this day again",
            )
        tables.append(rows)
    return pa.concat_tables(tables)


def _require_known_labels(loop: LoopSpec, rows: pa.Table) -> None:
    """A label may have been taken out of the task since a day was published."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(loop.task.labels, pa.string())
    strange = rows.filter(pc.invert(pc.is_in(rows["label"].cast(pa.string()), value_set=known)))
    if not strange.num_rows:
        return
    counts = Counter(map(str, strange["label"].to_pylist()))
    days = sorted(set(strange["partition"].to_pylist()))
    raise DataError(
        "published rows have labels that the task does not have",
        where=f"{loop.name} mart, {len(days)} day(s), {describe_days(days)}",
        expected=f"task.labels: {', '.join(loop.task.labels)}",
        found=", ".join(f"{label} in {count} rows" for label, count in sorted(counts.items())),
        remedy=f"validate these days again (lakeloop validate {loop.name} --partition {days[0]}),"
        " or put the label back into task.labels",
    )


def _track(stage: StageSession, card: DatasetCard) -> None:
    """Counts and the card: no text of rows leaves the lake."""
    stage.table(
        "label shares",
        ["label", *card.rows],
        [[label, *(card.label_shares[name][label] for name in card.rows)] for label in card.labels],
    )
    path = stage.work / "dataset.json"
    write_atomically(path, card.model_dump_json(indent=2) + "\n")
    stage.artifact(
        f"{stage.context.loop.name}-dataset",
        "dataset",
        path,
        {
            "digest": card.digest,
            "rows": dict(card.rows),
            "uri": stage.context.lake.files.uri(card.folder_name),
        },
    )


def _days_of(dataset: StageRecord) -> dict[str, str]:
    prefix = "mart/"
    return {
        name.removeprefix(prefix): value for name, value in dataset.inputs.items() if name.startswith(prefix)
    }


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
