"""Records of deliveries that people mended, and what ingest reads in their place: table `corrections`.

A correction names its record by day, file and line, and holds the record as it was: what another delivery has
there is never taken for it, and has corrections of its own. Nothing is ever changed or taken out; of two of
one record the newer counts, and one may say that the record is read as it was delivered again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import CORRECTIONS
from lakeloop.records import Frozen, fingerprint

Spot = tuple[str, str, int]
"""Day, file and line (from 1) of a record."""
_Known = tuple[Spot, str]
"""A record: where it stands, and as it was. Another delivery may have another one there."""


class Correction(Frozen):
    """What is to be read in the place of one record."""

    partition: str
    source_file: str
    source_line: int
    stage: Literal["ingest", "validate"]
    """Which had refused the record."""
    drop: str
    """Identity of the delivery that it was read from."""
    before: str
    """The record: as quarantine had it, where ingest had refused it; else JSON of the row as it was read."""
    record: str | None
    """JSON by declared field, values as they are typed; None: the record is left out for good."""
    why: str
    corrected_by: str
    corrected_at: datetime
    taken_back: bool = False
    """The record is read as it was delivered, whatever was said of it before."""

    @property
    def spot(self) -> Spot:
        return self.partition, self.source_file, self.source_line

    @property
    def digest(self) -> str:
        """Of what it does; not of who did it, and why."""
        back = {"taken_back": True} if self.taken_back else {}
        return fingerprint(spot=self.spot, before=self.before, record=self.record, **back)

    @property
    def fields(self) -> dict[str, Any]:
        """The values of the record by declared field; empty of one that is discarded."""
        fields: dict[str, Any] = json.loads(self.record or "{}")
        return fields


class OfADay(NamedTuple):
    """The corrections of one day that count."""

    rows: int
    digest: str


class Numbered(NamedTuple):
    """A correction and its place among all of a loop, from 1."""

    number: int
    correction: Correction
    counts: bool
    """No newer one is of the same record."""


def corrections_of(lake: Lake, partition: str) -> list[Correction]:
    """Those of a day that count, by file and line, the newer last; none where there is no such table yet."""
    try:
        rows = lake.read("corrections", partition=partition).to_pylist()
    except ConfigurationError:
        return []
    return [_correction(row) for row in _newest(rows) if not row.get("taken_back")]


def all_corrections(lake: Lake) -> list[Numbered]:
    """All that were ever kept, in that order; none where there is no such table yet."""
    try:
        rows = lake.read("corrections").to_pylist()
    except ConfigurationError:
        return []
    counting = {row["sequence"] for row in _newest(rows)}
    rows.sort(key=lambda row: int(row["sequence"]))
    return [Numbered(row["sequence"], _correction(row), row["sequence"] in counting) for row in rows]


def digests(lake: Lake) -> dict[str, OfADay]:
    """Day -> its corrections that count; records that are read instead are not looked at."""
    columns = ["sequence", "partition", "source_file", "source_line", "before", "digest", "taken_back"]
    try:
        table = lake.dataset("corrections")
    except ConfigurationError:
        return {}
    rows = table.to_table(columns=[name for name in columns if name in table.schema.names]).to_pylist()
    found: dict[str, list[str]] = {}
    for row in _newest(rows):
        if not row.get("taken_back"):
            found.setdefault(row["partition"], []).append(row["digest"])
    return {day: OfADay(len(each), _digest(each)) for day, each in found.items()}


def digest_of_day(corrections: Iterable[Correction]) -> str:
    """What the corrections of a day do, together; empty for none."""
    return _digest([one.digest for one in corrections])


def correct(lake: Lake, corrections: Sequence[Correction], attempt: Attempt) -> list[Correction]:
    """Keep corrections; returns those that were not there already, as the ones that count.

    Raises:
        FenceError: somebody else corrects at this moment, on another machine; do it again.
    """
    with lake.turn("corrections"):
        table, version = lake.read_newest("corrections")
        rows = table.to_pylist()
        there = {_record(row): row["digest"] for row in _newest(rows)}
        new = [one for one in corrections if there.get((one.spot, one.before)) != one.digest]
        last = max((row["sequence"] for row in rows), default=0)
        if new:
            added = [
                {**one.model_dump(), "digest": one.digest, "sequence": last + number}
                for number, one in enumerate(new, start=1)
            ]
            written = pa.Table.from_pylist(added, CORRECTIONS)
            lake.append_at("corrections", written, version=version, attempt=attempt)
    return new


def _newest(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of several rows of one record, the last; by day, file and line, of one place the newer last."""
    counts = {_record(row): row for row in sorted(rows, key=lambda row: int(row["sequence"]))}
    return sorted(counts.values(), key=lambda row: (*_spot(row), int(row["sequence"])))


def _correction(row: Mapping[str, Any]) -> Correction:
    known = {name: row[name] for name in Correction.model_fields if name in row}
    return Correction(**{**known, "taken_back": bool(row.get("taken_back"))})


def _spot(row: Mapping[str, Any]) -> Spot:
    return row["partition"], row["source_file"], row["source_line"]


def _record(row: Mapping[str, Any]) -> _Known:
    return _spot(row), row["before"]


def _digest(digests: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest() if digests else ""
