"""A version beside the champion, on its way to the champion's place: first in its shadow, then as a canary.

Read from the same events as the rest of the history; who begins and ends a trial is `registry`, and what the
model server does with one is `lakeloop.serving`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from lakeloop.records import Frozen

TRIED, ENDED = "tried", "ended"
"""What happened: a version began a phase of a trial; it left the trial without becoming champion."""

Phase = Literal["shadow", "canary"]
"""`shadow`: it is asked what the champion is asked, and nobody gets its answers. `canary`: it answers a share
of the requests."""


class Trial(Frozen):
    """One phase of a version beside the champion."""

    sequence: int
    version: str
    phase: Phase
    share: float
    """Of the requests that it answers; 0 in the shadow."""
    over: str | None
    """The champion that it is tried beside."""
    cause: str
    """Fingerprint of the evaluation that let it in."""
    reason: str
    began_at: datetime
    run_id: str
    by: str = ""
    """The user who asked for it; empty for a stage."""


class TrialEnd(Frozen):
    """A version that left its trial without becoming champion."""

    sequence: int
    version: str
    reason: str
    ended_at: datetime
    run_id: str
    by: str = ""
    """The user who ended it; empty for a stage, which ends one on what it counted."""


def trial_of(row: Mapping[str, Any]) -> Trial:
    """The phase that a row of the registry's table tells the beginning of."""
    return Trial(
        sequence=row["sequence"],
        version=row["version"],
        over=row["previous"],
        reason=row["reason"],
        began_at=row["recorded_at"],
        run_id=row["run_id"],
        by=row.get("moved_by") or "",
        **json.loads(row["record"]),
    )


def end_of(row: Mapping[str, Any]) -> TrialEnd:
    """The end that a row of the registry's table tells."""
    return TrialEnd(
        sequence=row["sequence"],
        version=row["version"],
        reason=row["reason"],
        ended_at=row["recorded_at"],
        run_id=row["run_id"],
        by=row.get("moved_by") or "",
    )
