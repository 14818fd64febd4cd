"""Which partitions of the mart were published, and with what content: the ledger knows, the table does not.

A reader of the mart alone cannot tell: a day is published when a record of `validate` says done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lakeloop.records import StageRecord


@dataclass(frozen=True)
class PublishedPartition:
    """A day of the mart as its newest publication left it."""

    partition: str
    digest: str
    """Content digest of its rows in `mart`."""
    rows: int


def published_partitions(
    records: Iterable[StageRecord], up_to: str | None = None
) -> dict[str, PublishedPartition]:
    """The published days, oldest first, from `validate` records in the order of the ledger.

    Of a day that was published more than once, the newest counts; days after `up_to` do not.
    """
    found: dict[str, PublishedPartition] = {}
    for record in records:
        if record.stage != "validate" or record.status != "done" or record.counts is None:
            continue
        if up_to is None or record.partition <= up_to:
            found[record.partition] = PublishedPartition(
                record.partition, record.outputs["mart"].removeprefix("sha256:"), record.counts.accepted
            )
    return dict(sorted(found.items()))


def describe_days(partitions: Iterable[str]) -> str:
    """`2026-11-16..2026-11-20`, or the one day; there must be one at least."""
    days = sorted(partitions)
    return days[0] if len(days) == 1 else f"{days[0]}..{days[-1]}"
