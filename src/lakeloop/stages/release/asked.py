"""The question that a person is to answer now, as `status` and the pages show it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from lakeloop.records import Frozen

if TYPE_CHECKING:
    from lakeloop.stages.frame.session import StageContext


class Asked(Frozen):
    """A candidate that the gate lets in and about which nobody has answered."""

    loop: str
    partition: str
    """Of the evaluation."""
    candidate: str
    over: str
    """The champion beside which it stands; empty where there is none."""
    since: datetime
    """When it was evaluated."""

    @property
    def what(self) -> str:
        """For people: which candidate, beside whom, since when."""
        beside = f" beside champion {self.over}" if self.over else ", no champion yet"
        return f"{self.partition}, candidate {self.candidate}{beside}, since {self.since:%Y-%m-%d %H:%M} UTC"

    @property
    def command(self) -> str:
        """What answers it at a terminal."""
        return f'lakeloop approve {self.loop} --partition {self.partition} --reason "…" (or reject)'


def asked_now(context: StageContext) -> Asked | None:
    """The newest question of the context's loop that waits for a person; None where none does.

    Reads the registry, and the evidence of the evaluations that nothing was decided about.
    """
    from lakeloop.stages.release.approval import open_question

    question = open_question(context)
    if question is None:
        return None
    return Asked(
        loop=context.loop.name,
        partition=question.day,
        candidate=question.candidate.name,
        over=question.champion.name if question.champion else "",
        since=question.evaluation.provenance.finished_at,
    )
