"""Where a version comes from, down to files and lines, and what was answered with it.

Everything is read from records of the ledger, each of which names by digest what it was made from; only the
answers are counted in the prediction log. What a record does not say any more is left open, not guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import pyarrow.compute as pc

from lakeloop.lake.files import LakeFiles
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import without_smoke
from lakeloop.records import Counts, Frozen, StageRecord
from lakeloop.registry.history import History, ModelVersion, Move
from lakeloop.search.stored import search_of

_DAY = "mart/"
"""Begins the names of the days among the inputs of a data set's record."""


class Step(Frozen):
    """One record on the way to a version."""

    stage: str
    partition: str
    reason: str
    fingerprint: str
    run_id: str
    try_number: int
    finished_at: datetime
    git_sha: str
    """Commit of the code."""
    versions: dict[str, str]
    """Package -> version that did it."""


class Day(Frozen):
    """A day of the data set: from the drop to the rows of the mart."""

    day: str
    digest: str
    """Of its rows in the mart."""
    drop: str = ""
    """Where the file or delivery was; empty where the ledger does not say it any more."""
    drop_identity: str = ""
    """Its sha256, or what else names it for ever."""
    read: Counts | None = None
    """Lines of the drop: read, accepted, quarantined, duplicates."""
    built: Counts | None = None
    """Rows through the dbt models."""
    published: Counts | None = None
    """Rows through the checks; those accepted are in the mart."""
    dbt_models: str = ""
    """Digest of the dbt models that built them."""
    steps: tuple[Step, ...] = ()
    """The records, from ingest to validate."""


class Lineage(Frozen):
    """One version: down to the days, and up to the answers."""

    loop: str
    version: str
    digest: str
    registered_at: datetime
    run_id: str
    aliases: tuple[str, ...]
    moves: tuple[Move, ...]
    """Moves of the champion to this version and away from it."""
    release: Step | None
    evaluation: Step | None
    evidence: str
    """Folder of the evidence in the lake."""
    training: Step | None
    dataset: Step | None
    dataset_digest: str
    days: tuple[Day, ...]
    answers: dict[str, int]
    """Day -> answers that were given with it."""

    @property
    def missing(self) -> tuple[str, ...]:
        """What the ledger does not say any more: a day was reset, or an earlier version did not note it."""
        steps = {
            "release": self.release,
            "evaluation": self.evaluation,
            "training": self.training,
            "data set": self.dataset,
        }
        gone = [name for name, step in steps.items() if step is None]
        return (*gone, *(f"day {day.day}" for day in self.days if not day.steps))


def lineage_of(lake: Lake, history: History, version: ModelVersion) -> Lineage:
    """The lineage of a registered version.

    Raises:
        ArtifactError: a search that it may be from is not in the lake as it was stored.
    """
    entries = [entry for entry in lake.ledger.entries() if entry.status in ("done", "refused")]
    released = _newest(entries, "release", lambda entry: entry.outputs.get("digest") == version.digest)
    judged = _evaluation(entries, released, version)
    training = _training(entries, lake.files, version)
    frozen = _dataset(entries, version, training)
    return Lineage(
        loop=lake.loop,
        version=version.name,
        digest=version.digest,
        registered_at=version.created_at,
        run_id=version.run_id,
        aliases=history.aliases_of(version.name),
        moves=tuple(move for move in history.moves if version.name in (move.version, move.previous)),
        release=_step(released),
        evaluation=_step(judged),
        evidence=judged.outputs.get("evidence", "") if judged else "",
        training=_step(training),
        dataset=_step(frozen),
        dataset_digest=version.card.dataset_digest,
        days=tuple(_days(entries, frozen)) if frozen else (),
        answers=_answers(lake, version.name),
    )


def _newest(
    entries: Sequence[StageRecord], stage: str, fits: Callable[[StageRecord], bool]
) -> StageRecord | None:
    return next((entry for entry in reversed(entries) if entry.stage == stage and fits(entry)), None)


def _evaluation(
    entries: Sequence[StageRecord], released: StageRecord | None, version: ModelVersion
) -> StageRecord | None:
    """The one that let it in; where no release says which, the newest that it stood in as a candidate."""
    if released:
        wanted = released.inputs["evaluation"]
        return _newest(entries, "evaluate", lambda entry: entry.fingerprint == wanted)
    name = version.card.candidate
    return _newest(entries, "evaluate", lambda entry: entry.inputs.get(name) == version.digest)


def _training(entries: Sequence[StageRecord], files: LakeFiles, version: ModelVersion) -> StageRecord | None:
    """The first that made these weights: later ones took them over."""
    for entry in entries:
        if not entry.stage.startswith("train-") or entry.experiment or entry.status != "done":
            continue
        if entry.outputs.get("digest") == version.digest:
            return entry
        search = search_of(files, entry)
        if search and any(model.digest == version.digest for model in search.kept):
            return entry
    return None


def _dataset(
    entries: Sequence[StageRecord], version: ModelVersion, training: StageRecord | None
) -> StageRecord | None:
    """The freezing of the data set, of the day that was trained on where several are equal."""
    frozen = [
        entry
        for entry in entries
        if entry.stage == "dataset" and entry.outputs.get("digest") == version.card.dataset_digest
    ]
    of_day = [entry for entry in frozen if training and entry.partition == training.partition]
    return next(reversed(of_day or frozen), None)


def _days(entries: Sequence[StageRecord], frozen: StageRecord) -> Iterator[Day]:
    for name, digest in sorted(frozen.inputs.items()):
        if name.startswith(_DAY):
            yield _day(entries, name.removeprefix(_DAY), digest)


def _day(entries: Sequence[StageRecord], day: str, digest: str) -> Day:
    of_day = [entry for entry in entries if entry.partition == day]
    published = _made(of_day, "validate", "mart", digest)
    built = _made(of_day, "transform", "staging", published.inputs.get("staging", "") if published else "")
    read = _made(of_day, "ingest", "raw", built.inputs.get("raw", "") if built else "")
    return Day(
        day=day,
        digest=digest,
        drop=read.links.get("drop", "") if read else "",
        drop_identity=read.inputs.get("drop", "") if read else "",
        read=read.counts if read else None,
        built=built.counts if built else None,
        published=published.counts if published else None,
        dbt_models=built.inputs.get("dbt", "") if built else "",
        steps=tuple(step for step in map(_step, (read, built, published)) if step),
    )


def _made(entries: Sequence[StageRecord], stage: str, table: str, digest: str) -> StageRecord | None:
    """The record whose rows of `table` have this digest."""
    bare = digest.removeprefix("sha256:")
    if not bare:
        return None
    return _newest(entries, stage, lambda entry: entry.outputs.get(table, "").removeprefix("sha256:") == bare)


def _step(record: StageRecord | None) -> Step | None:
    if record is None:
        return None
    by = record.provenance
    return Step(
        stage=record.stage,
        partition=record.partition,
        reason=record.reason,
        fingerprint=record.fingerprint,
        run_id=by.run_id,
        try_number=by.try_number,
        finished_at=by.finished_at,
        git_sha=by.git_sha,
        versions=by.versions,
    )


def answers_by_version(lake: Lake) -> Counter[str]:
    """Version -> answers that were given with it, as `_answers` counts them, in one reading of the log."""
    found: Counter[str] = Counter()
    for batch in lake.scan("predictions", columns=["model_version", "request_id"]):
        found.update(_counted(pc.value_counts(without_smoke(batch)["model_version"]).to_pylist()))
    return found


def _answers(lake: Lake, version: str) -> dict[str, int]:
    """Day -> answers of the version, counted batch by batch, without those to smoke texts of a roll-out."""
    found: Counter[str] = Counter()
    for every in lake.scan("predictions", columns=["partition", "request_id"], model_version=version):
        batch = without_smoke(every)
        found.update(_counted(pc.value_counts(batch["partition"]).to_pylist()))
    return dict(sorted(found.items()))


def _counted(values: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return {str(one["values"]): one["counts"] for one in values}
