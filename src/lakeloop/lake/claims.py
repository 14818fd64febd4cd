"""Who may publish: the newest attempt that claimed a stage of a partition, and nobody else.

Two attempts of one task can run at once (a scheduler that restarts takes a healthy task for lost). So an
attempt claims its work first, and its fence is checked before each commit; the commit itself is made on the
snapshot that was there at the claim, so that a write in between is a conflict.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import RemoveAction

from lakeloop.attempt import Attempt
from lakeloop.errors import FenceError
from lakeloop.lake.delta import DeltaStore, contended, matching
from lakeloop.lake.tables import CLAIMS, REPLACEABLE, TIMESTAMP
from lakeloop.records import now

_STATISTICS_TO = timedelta(milliseconds=1)
"""Moments in a table's log are cut off there."""


@dataclass
class Fence:
    """The right of one attempt to replace a partition; it holds until a newer attempt claims the same."""

    scope: str
    partition: str
    attempt: Attempt
    claim_id: str
    pinned: dict[str, int] = field(repr=False)
    """Name of a table -> its version at the claim, then after each commit that this attempt made."""

    @property
    def where(self) -> str:
        return f"{self.scope} {self.partition}"


def provenance(attempt: Attempt) -> dict[str, str]:
    """The metadata by which a commit names its attempt: `run_id` and `try_number`."""
    return {"run_id": attempt.run_id, "try_number": str(attempt.try_number)}


class Claims:
    """Table `claims`: one row for each stage (scope) and partition, the newest claim."""

    def __init__(self, store: DeltaStore) -> None:
        self._store = store

    def take(self, scope: str, partition: str, attempt: Attempt) -> Fence:
        """Claim the stage `scope` of `partition` and return the fence; older claims no longer hold.

        Raises:
            FenceError: a later try of the same run holds the claim already: this try woke up too late.
            CommitFailedError: other writers kept the table busy all the time (see `contended`).
        """
        claim_id = uuid.uuid4().hex
        row = {
            "scope": scope,
            "partition": partition,
            "claim_id": claim_id,
            "run_id": attempt.run_id,
            "try_number": attempt.try_number,
            "claimed_at": now(),
        }
        for turn in contended():
            with turn:
                claims = self._store.open("claims")
                self._refuse_older_try(scope, partition, attempt, claims)
                self._store.commit(
                    "claims",
                    claims,
                    pa.Table.from_pylist([row], CLAIMS),
                    replace={"scope": scope, "partition": partition},
                    metadata={**provenance(attempt), "stage": scope},
                )
        # Pinned after the claim: from here on every commit of another writer is a conflict.
        pinned = {name: self._store.version(name) for name in REPLACEABLE}
        return Fence(scope, partition, attempt, claim_id, pinned)

    def forget(self, before: datetime) -> int:
        """Forget the claims that were taken earlier than `before`; returns how many.

        Each is a file, and reading the table takes longer for each. Work that goes on under a claim that is
        forgotten ends with a FenceError: nobody holds it. None is forgotten while others claim.
        """
        claims = self._store.open("claims")
        files = pa.table(claims.get_add_actions(flatten=True))
        if "max.claimed_at" not in files.column_names:
            return 0
        earlier = pa.scalar(before - _STATISTICS_TO, TIMESTAMP)
        old = files.filter(pc.less(files["max.claimed_at"], earlier)).to_pylist()
        if not old:
            return 0
        gone = round(time.time() * 1000)
        try:
            claims.create_write_transaction(
                [
                    RemoveAction(unquote(file["path"]), True, gone, file["size_bytes"], _partition(file))
                    for file in old
                ],
                mode="append",
                schema=claims.schema(),
                partition_by=["scope", "partition"],
                commit_properties=CommitProperties(
                    custom_metadata={"stage": "maintain"}, max_commit_retries=0
                ),
            )
        except CommitFailedError:
            return 0
        version = claims.version()
        self._store.make_durable("claims", range(version + 1, version + 2))
        return len(old)

    def check(self, fence: Fence) -> None:
        """Raises FenceError when a newer attempt has claimed this work."""
        with self._store.reading("claims") as claims:
            holder = self._holder(fence.scope, fence.partition, claims)
        if holder is None or holder["claim_id"] != fence.claim_id:
            raise FenceError(
                "a newer attempt took over",
                where=fence.where,
                expected=f"the claim of {fence.attempt.token}",
                found=_describe(holder),
                remedy="the newer one goes on; what this attempt had still to write was not written",
            )

    def _holder(self, scope: str, partition: str, claims: DeltaTable) -> dict[str, object] | None:
        equals = {"scope": scope, "partition": partition}
        found = self._store.files_of("claims", claims, equals)
        rows = found.to_table(filter=matching(equals)).to_pylist()
        return rows[0] if rows else None

    def _refuse_older_try(self, scope: str, partition: str, attempt: Attempt, claims: DeltaTable) -> None:
        holder = self._holder(scope, partition, claims)
        if holder is None or holder["run_id"] != attempt.run_id:
            return
        if int(str(holder["try_number"])) > attempt.try_number:
            raise FenceError(
                "a later try of the same run holds the claim",
                where=f"{scope} {partition}",
                expected=f"no claim newer than {attempt.token}",
                found=_describe(holder),
                remedy="nothing was written by this attempt; the later one goes on",
            )


def _partition(file: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: file[f"partition.{name}"] for name in ("scope", "partition")}


def _describe(holder: dict[str, object] | None) -> str:
    if holder is None:
        return "no claim at all"
    return f"{holder['run_id']}#{holder['try_number']}, claimed at {holder['claimed_at']}"
