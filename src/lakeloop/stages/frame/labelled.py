"""Days whose rows got answers since they were built: what records of stages `labels` and `transform` say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from lakeloop.records import StageRecord

DAYS = "days"
"""The output of `labels` that says of which days its rows are: JSON, day -> digest of what they have got."""
VERSION = "labels_version"
"""The output of `labels`, and of `transform`, that says which version of table `labels` that was."""


class Got(NamedTuple):
    """What rows of a day have got, as of a version of the table."""

    version: int
    digest: str


def days_told(record: StageRecord) -> list[str]:
    """The days of whose rows `record` brings something new: of most stages, its own."""
    if DAYS not in record.outputs:
        return [record.partition]
    return sorted(json.loads(record.outputs[DAYS]))


def got(entries: Iterable[StageRecord]) -> dict[str, Got]:
    """Day -> what its rows have got by the newest version that a record of `labels` tells of."""
    found: dict[str, Got] = {}
    for entry in entries:
        if entry.stage != "labels" or entry.status != "done":
            continue
        version = int(entry.outputs[VERSION])
        for day, digest in json.loads(entry.outputs[DAYS]).items():
            if day not in found or found[day].version <= version:
                found[day] = Got(version, digest)
    return found


def lacks(transformed: StageRecord, has: Got | None) -> bool:
    """Whether rows of a day have got others than those that it was built with."""
    if has is None or int(transformed.outputs.get(VERSION, -1)) >= has.version:
        return False
    return transformed.inputs.get("labels") != has.digest
