"""The ledger: what was done for which partition, from what, by which attempt, with which counts.

One entry for each ended stage, appended after its data is durable. It is the only place that answers "was
this done already?", and it answers only while the output is really there. Nothing is ever deleted from it: an
entry with the status `reset` hides those that its stage and partition had before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from lakeloop.lake.delta import DeltaStore, contended, matching
from lakeloop.lake.tables import LEDGER
from lakeloop.records import StageRecord, Status, fingerprint

log = logging.getLogger(__name__)

Statuses = Status | Collection[Status] | None


class Ledger:
    """Table `ledger`. `holds(record)` says whether the output that a record speaks of is in the lake."""

    def __init__(self, store: DeltaStore, holds: Callable[[StageRecord], bool]) -> None:
        self._store = store
        self._holds = holds

    def record(self, record: StageRecord, allow: Callable[[], None] | None = None) -> str:
        """Append an entry and return its id; the same record twice is one entry.

        Waits for its turn when other stages write at the same moment. `allow` is called right before the
        commit and may raise: nothing is written then.
        """
        return self.record_all([record], allow)[0]

    def record_all(
        self, records: Sequence[StageRecord], allow: Callable[[], None] | None = None
    ) -> list[str]:
        """Append an entry for each of `records`, all of one stage, in one commit; as `record` does."""
        stage = records[0].stage
        ids = [fingerprint(record=record)[:32] for record in records]
        equals = {"stage": stage}
        for turn in contended():
            with turn:
                snapshot = self._store.open("ledger")
                present = self._store.files_of("ledger", snapshot, equals)
                known = present.to_table(columns=["entry_id", "finished_at"], filter=matching(equals))
                there = set(known["entry_id"].to_pylist())
                new = [(one, record) for one, record in zip(ids, records, strict=True) if one not in there]
                if not new:
                    return ids
                rows = pa.Table.from_pylist([_entry(one, record, known) for one, record in new], LEDGER)
                if allow:
                    allow()
                # As the next version or not at all: the checks above then still hold at the commit.
                self._store.commit(
                    "ledger",
                    snapshot,
                    rows,
                    replace=None,
                    metadata={"entry_id": ids[0], "stage": stage},
                    only_next=True,
                )
        return ids

    def latest(self, stage: str, partition: str | None = None, status: Statuses = None) -> StageRecord | None:
        """The newest entry of a stage; None when there is none.

        `partition` and `status` (one or several) narrow the search; without them any day and status counts.
        """
        rows = self._rows(stage, partition, status)
        return StageRecord.model_validate_json(rows[-1]["record"]) if rows else None

    def newest_day(self, stage: str) -> str | None:
        """The newest partition that `stage` has done; None before the first."""
        return max((row["partition"] for row in self._rows(stage, None, "done")), default=None)

    def days_before(self, stage: str, partition: str, most: int) -> list[StageRecord]:
        """What `stage` has done last of each day before `partition`, the newest `most` days, oldest first.

        Records are read of these days only, however many there are.
        """
        entries, counted = self._store.dataset("ledger", None, {"stage": stage}), ("done", "reset")
        rows = _since_reset(self._all_rows({"stage": stage}, counted, entries=entries, whole=False))
        done = {row["partition"] for row in rows if row["status"] == "done" and row["partition"] < partition}
        days = sorted(done)[-most:]
        if not days:
            return []
        newest: dict[str, str] = {}
        for row in _since_reset(self._all_rows({"stage": stage}, counted, entries=entries, days=days)):
            if row["status"] == "done":
                newest[row["partition"]] = row["record"]
        return [StageRecord.model_validate_json(newest[day]) for day in days]

    def digest_before(self, stage: str, partition: str, table: str) -> str:
        """The digest that `stage` recorded last of its rows of the day in `table`; empty when it never did.

        Also one that a reset hides: what was made as it was made is known again by its digest.
        """
        rows = self._all_rows({"stage": stage, "partition": partition}, ("done",))
        return StageRecord.model_validate_json(rows[-1]["record"]).outputs.get(table, "") if rows else ""

    def entries(
        self, stage: str | None = None, partition: str | None = None, status: Statuses = None
    ) -> list[StageRecord]:
        """All entries of a stage, a partition and one or several statuses, oldest first; None matches all."""
        rows = self._rows(stage, partition, status)
        return [StageRecord.model_validate_json(row["record"]) for row in rows]

    def done(self, stage: str, partition: str, same: Callable[[StageRecord], bool]) -> StageRecord | None:
        """The entry that makes this work unnecessary, or None.

        It is the newest result (done or refused) of this stage and partition, `same` says that it records the
        same work, and its output is in the lake. An older equal entry does not count: its output has been
        replaced since.
        """
        newest = self.latest(stage, partition, ("done", "refused"))
        if newest is None or not same(newest):
            return None
        if not self._holds(newest):
            log.warning("%s %s: done according to the ledger, but not in the lake; again", stage, partition)
            return None
        return newest

    def _rows(self, stage: str | None, partition: str | None, status: Statuses) -> list[dict[str, Any]]:
        """Rows of the matching entries that no reset hides, oldest first."""
        wanted = {"stage": stage, "partition": partition}
        equals = {name: value for name, value in wanted.items() if value is not None}
        allowed = None if status is None else {status} if isinstance(status, str) else set(status)
        counted = _since_reset(self._all_rows(equals, None if allowed is None else (*allowed, "reset")))
        return [row for row in counted if allowed is None or row["status"] in allowed]

    def _all_rows(
        self,
        equals: Mapping[str, str],
        status: Sequence[str] | None,
        *,
        entries: ds.Dataset | None = None,
        days: Sequence[str] | None = None,
        whole: bool = True,
    ) -> list[dict[str, Any]]:
        """Rows of the matching entries, oldest first, without the record where they are not to be `whole`.

        Of any status where none is given, and of any day; `entries` are those that are there, if opened.
        """
        condition = matching(equals)
        for name, values in (("status", status), ("partition", days)):
            if values is not None:
                among = ds.field(name).isin(sorted(values))
                condition = among if condition is None else condition & among
        columns = ["stage", "partition", "status", "finished_at", *(["record"] if whole else [])]
        if entries is None:
            entries = self._store.dataset("ledger", None, equals)
        rows = entries.to_table(columns=columns, filter=condition)
        return sorted(rows.to_pylist(), key=itemgetter("finished_at"))


def _since_reset(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`rows`, oldest first, without those that a later reset of the same stage and partition hides."""
    resets = {
        (row["stage"], row["partition"]): position
        for position, row in enumerate(rows)
        if row["status"] == "reset"
    }
    return [
        row
        for position, row in enumerate(rows)
        if position >= resets.get((row["stage"], row["partition"]), 0)
    ]


def _entry(entry_id: str, record: StageRecord, known: pa.Table) -> dict[str, Any]:
    """The row of `record`, with a later time than all entries of `known`.

    Entries are ordered by this time, and the clocks of two machines are not the same.
    """
    counts = record.counts.model_dump() if record.counts else {}
    finished_at = record.provenance.finished_at
    if newest := pc.max(known["finished_at"]).as_py():
        finished_at = max(finished_at, newest + timedelta(microseconds=1))
    return {
        "entry_id": entry_id,
        "stage": record.stage,
        "partition": record.partition,
        "status": record.status,
        "reason": record.reason,
        "fingerprint": record.fingerprint,
        "run_id": record.provenance.run_id,
        "try_number": record.provenance.try_number,
        "finished_at": finished_at,
        **counts,
        "record": record.model_dump_json(),
    }
