"""Days that have lost all their records, while the files that had them are there: they have no rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.sources.base import Delivery, Emptying, Source
from lakeloop.sources.registry import open_source
from lakeloop.stages.frame.session import StageContext


def emptied(context: StageContext, source: Source, partition: str) -> Delivery | None:
    """The delivery without a record of such a day; None for any other, and where the lake has nothing of it.

    Raises:
        LakeloopError: the source cannot be read.
    """
    if not isinstance(source, Emptying):
        return None
    return source.emptied(partition, _files_of(context, partition))


def emptied_days(context: StageContext, ingested: Iterable[str], there: Collection[str]) -> list[str]:
    """Those of the days `ingested` that were emptied, oldest first; `there` are the days that have records.

    Days before the first of these are left alone: most often their files are gone as well.
    """
    try:
        source = open_source(context.loop, context.settings)
        if not there or not isinstance(source, Emptying):
            return []
        away = [day for day in sorted(ingested) if day not in there and day > min(there)]
        return [day for day in away if emptied(context, source, day)]
    except LakeloopError:  # ingest says why
        return []


def _files_of(context: StageContext, partition: str) -> set[str]:
    """The files that have what the lake has of the day."""
    lake, only = context.lake, ["source_file"]
    try:
        rows = lake.read("raw", columns=only, partition=partition)
        refused = lake.read("quarantine", columns=only, partition=partition, stage="ingest")
    except ConfigurationError:
        return set()
    return {*rows["source_file"].unique().to_pylist(), *refused["source_file"].unique().to_pylist()}
