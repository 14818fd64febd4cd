"""A training as a trial of a search: it tells its scores as they come, and ends early when it is told to.

Both go through files of the job's folder, for the search is another process, and may be gone for a while.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lakeloop.jobs.state import Workdir
from training.job_config import JobConfig


class EndedEarlyError(Exception):
    """The search wants no more of this trial; what it has cost is all that is left to tell."""


@dataclass(frozen=True)
class Trial:
    """Without a folder, of a training that is no trial, it does nothing."""

    workdir: Workdir | None = None
    metric: str = ""

    @classmethod
    def of(cls, config: JobConfig, workdir: Workdir) -> Trial:
        return cls(workdir, config.metric) if config.trial else cls()

    def tell(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Tell the search the scores after an epoch, from 1."""
        if self.workdir is not None:
            line = json.dumps({"epoch": epoch, "score": float(scores[self.metric])})
            with self.workdir.scores.open("a") as file:
                file.write(line + "\n")

    def go_on(self) -> None:
        """Raises EndedEarlyError when the search wants the trial to end."""
        if self.workdir is not None and self.workdir.stop.exists():
            raise EndedEarlyError("ended early: other trials did better after as many epochs")
