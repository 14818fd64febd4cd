"""How far each day of a loop is, from the entries of its ledger. Pure functions; callers read the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lakeloop.records import StageRecord


@dataclass(frozen=True)
class Day:
    """One partition on its way into the mart.

    A stage has a record here when it was made from the rows that the stage before it left last.
    """

    partition: str
    ingest: StageRecord | None
    transform: StageRecord | None
    validate: StageRecord | None
    standing: StageRecord | None = None
    """The publication of an earlier version of the day, which stands until this one is published."""

    @property
    def records(self) -> tuple[StageRecord, ...]:
        """The records that count, in the order of the stages."""
        return tuple(record for record in (self.ingest, self.transform, self.validate) if record)


def days_of(entries: Iterable[StageRecord]) -> list[Day]:
    """The days of a loop, oldest first, from the entries of its ledger, oldest first."""
    newest = {(entry.partition, entry.stage): entry for entry in entries if entry.status == "done"}
    days = []
    for partition in sorted({partition for partition, stage in newest if stage == "ingest"}):
        ingest = newest.get((partition, "ingest"))
        transform = _made_from(newest.get((partition, "transform")), ingest, "raw")
        published = newest.get((partition, "validate"))
        validate = _made_from(published, transform, "staging")
        days.append(Day(partition, ingest, transform, validate, None if validate else published))
    return days


def reset_days(entries: Iterable[StageRecord]) -> list[str]:
    """The days whose rows somebody had cleared and that were not ingested since, oldest first.

    `entries` are oldest first.
    """
    newest = {
        entry.partition: entry.status
        for entry in entries
        if entry.stage == "ingest" and entry.status in ("done", "reset")
    }
    return sorted(day for day, status in newest.items() if status == "reset")


def newest(entries: Sequence[StageRecord], stage: str, partition: str | None = None) -> StageRecord | None:
    """The newest result (done or refused) of a stage, of `partition` only where it is given; None for none.

    `entries` are oldest first.
    """
    return next(
        (
            entry
            for entry in reversed(entries)
            if entry.stage == stage
            and entry.status in ("done", "refused")
            and partition in (None, entry.partition)
        ),
        None,
    )


def _made_from(record: StageRecord | None, source: StageRecord | None, table: str) -> StageRecord | None:
    """`record`, when it was made from the rows that `source` left in `table`."""
    if record is None or source is None:
        return None
    digest = source.outputs.get(table, "").removeprefix("sha256:")
    return record if digest in {value.removeprefix("sha256:") for value in record.inputs.values()} else None
