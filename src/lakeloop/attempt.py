"""Who is doing the work: one attempt of one run. The name that fences and records carry."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """One try of one run. Two tries of the same run can overlap, so both parts matter."""

    run_id: str
    try_number: int = 1

    @classmethod
    def local(cls) -> Attempt:
        """An attempt for a command typed by a person: no scheduler gave it a run id."""
        return cls(run_id=f"local-{os.getpid()}-{uuid.uuid4().hex[:8]}")

    @property
    def token(self) -> str:
        return f"{self.run_id}#{self.try_number}"
