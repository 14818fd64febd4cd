"""What was made of a day's rows, for each time that the day was published: data sets, models, answers.

A day that is delivered again is published again; what was made of the rows of before still stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakeloop.lake.files import LakeFiles
from lakeloop.lake.store import Lake
from lakeloop.records import EXPERIMENT, Frozen, StageRecord
from lakeloop.registry.history import History
from lakeloop.registry.lineage import answers_by_version
from lakeloop.search.stored import search_of


class Learnt(Frozen):
    """One training on a data set."""

    candidate: str
    day: str
    """Partition of its record."""
    trained_at: datetime
    digest: str
    experiment: str
    """Name of the experiment that it was; empty for one of the loop."""
    version: str
    """Of the registry; empty where it was not let in."""
    aliases: tuple[str, ...]
    answers: int
    """In the prediction log, by this version."""


class Snapshot(Frozen):
    """One data set that has the rows."""

    digest: str
    days: str
    frozen_at: datetime
    rows: int
    trainings: tuple[Learnt, ...]


class Edition(Frozen):
    """One state of a day: as it was published, until it was published with other rows."""

    digest: str
    """Of its rows in the mart."""
    published_at: datetime
    replaced_at: datetime | None
    """None: these rows are published now."""
    rows: int
    quarantined: int
    drop: str
    """What names the delivery for ever, such as its sha256; empty where the ledger does not say it."""
    run_id: str
    datasets: tuple[Snapshot, ...]

    @property
    def answers(self) -> int:
        """Of all versions that learnt from these rows, in the prediction log."""
        return sum(one.answers for one in self.versions)

    @property
    def versions(self) -> tuple[Learnt, ...]:
        """The versions of the registry that learnt from these rows, each once."""
        found = {one.version: one for data in self.datasets for one in data.trainings if one.version}
        return tuple(found[name] for name in sorted(found))


class Impact(Frozen):
    """A day, and all that was made of each state of it."""

    loop: str
    day: str
    editions: tuple[Edition, ...]
    """Oldest first."""

    @property
    def outdated(self) -> tuple[Learnt, ...]:
        """Versions that learnt from rows of the day that are published no more, and not from new ones."""
        now = {one.version for each in self.editions if not each.replaced_at for one in each.versions}
        old = {one.version: one for each in self.editions if each.replaced_at for one in each.versions}
        return tuple(one for name, one in sorted(old.items()) if name not in now)


@dataclass(frozen=True)
class _Known:
    """What the ledger, the registry and the prediction log say, read once."""

    files: LakeFiles
    history: History
    entries: Sequence[StageRecord]
    answers: Mapping[str, int]


def impact_of(lake: Lake, history: History, day: str) -> Impact:
    """Everything that was made of the rows of `day`, from the records of the ledger.

    Raises:
        ArtifactError: a search that a model is from is not in the lake as it was stored.
    """
    entries = [entry for entry in lake.ledger.entries() if entry.status == "done"]
    published = publications(entries, day)
    known = _Known(lake.files, history, entries, answers_by_version(lake))
    ends = [entry.provenance.finished_at for entry in published[1:]]
    return Impact(
        loop=lake.loop,
        day=day,
        editions=tuple(
            _edition(known, entry, end) for entry, end in zip(published, [*ends, None], strict=False)
        ),
    )


def publications(entries: Iterable[StageRecord], day: str) -> list[StageRecord]:
    """The records by which `day` got other rows in the mart, oldest first, as `entries` are."""
    done = (entry for entry in entries if entry.status == "done")
    return list(_changes(entry for entry in done if (entry.stage, entry.partition) == ("validate", day)))


def _changes(published: Iterable[StageRecord]) -> Iterator[StageRecord]:
    """Those publications with other rows than the one before."""
    before = ""
    for entry in published:
        digest = _bare(entry.outputs["mart"])
        if digest != before:
            yield entry
        before = digest


def _bare(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _edition(known: _Known, published: StageRecord, end: datetime | None) -> Edition:
    digest, counts = _bare(published.outputs["mart"]), published.counts
    name = f"mart/{published.partition}"
    using = [
        entry
        for entry in known.entries
        if entry.stage.partition(EXPERIMENT)[0] == "dataset" and _bare(entry.inputs.get(name, "")) == digest
    ]
    return Edition(
        digest=digest,
        published_at=published.provenance.finished_at,
        replaced_at=end,
        rows=counts.accepted if counts else 0,
        quarantined=counts.quarantined if counts else 0,
        drop=_drop(known.entries, published),
        run_id=published.provenance.run_id,
        datasets=tuple(_dataset(known, one) for one in _each_once(using)),
    )


def _each_once(using: Sequence[StageRecord]) -> list[StageRecord]:
    """The first record of each data set."""
    found: dict[str, StageRecord] = {}
    for entry in using:
        found.setdefault(entry.outputs["digest"], entry)
    return list(found.values())


def _drop(entries: Sequence[StageRecord], published: StageRecord) -> str:
    """The delivery behind a publication, by the digests that records name each other by."""
    staging, of_day = published.inputs.get("staging", ""), published.partition
    raw = next(
        (
            entry.inputs.get("raw", "")
            for entry in reversed(entries)
            if (entry.stage, entry.partition, entry.outputs.get("staging")) == ("transform", of_day, staging)
        ),
        "",
    )
    return next(
        (
            entry.inputs.get("drop", "")
            for entry in reversed(entries)
            if raw and (entry.stage, entry.partition, entry.outputs.get("raw")) == ("ingest", of_day, raw)
        ),
        "",
    )


def _dataset(known: _Known, frozen: StageRecord) -> Snapshot:
    digest = frozen.outputs["digest"]
    trained = [
        entry
        for entry in known.entries
        if entry.stage.startswith("train-") and _bare(entry.inputs.get("dataset", "")) == _bare(digest)
    ]
    return Snapshot(
        digest=digest,
        days=frozen.outputs.get("partitions", ""),
        frozen_at=frozen.provenance.finished_at,
        rows=int(frozen.outputs.get("rows", 0)),
        trainings=tuple(one for entry in trained for one in _learnt(known, entry)),
    )


def _learnt(known: _Known, trained: StageRecord) -> Iterator[Learnt]:
    """The models of a training: one, or those that a search kept."""
    search = search_of(known.files, trained)
    digests = [model.digest for model in search.kept] if search else [trained.outputs.get("digest", "")]
    versions = {version.digest: version.name for version in known.history.versions.values()}
    for digest in digests:
        version = versions.get(digest, "")
        yield Learnt(
            candidate=trained.stage.removeprefix("train-").partition(EXPERIMENT)[0],
            day=trained.partition,
            trained_at=trained.provenance.finished_at,
            digest=digest,
            experiment=trained.experiment,
            version=version,
            aliases=known.history.aliases_of(version) if version else (),
            answers=known.answers.get(version, 0),
        )
