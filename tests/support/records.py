"""Where a made-up record comes from: one run on one machine at one moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lakeloop.records import Provenance

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def provenance(run_id: str = "run", started_at: datetime = NOON, seconds: float = 0.0) -> Provenance:
    return Provenance(
        run_id=run_id,
        try_number=1,
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=seconds),
        git_sha="unknown",
        host="host",
        python="3.11",
        versions={},
    )
