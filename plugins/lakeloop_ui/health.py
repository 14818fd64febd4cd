"""How a loop is, in one word, and why: what a person who runs many of them looks at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lakeloop.stages.catalogue import DAGS
from lakeloop.stages.frame.pending import Pending
from lakeloop.stages.frame.status import LoopStatus
from lakeloop_ui.active import Run

State = Literal["good", "attention", "failing", "never"]

TITLES: dict[State, str] = {
    "good": "good",
    "attention": "needs attention",
    "failing": "failing",
    "never": "never ran",
}


@dataclass(frozen=True)
class Health:
    """The state of a loop."""

    state: State
    reasons: tuple[str, ...]
    """Sentences for people, the worst first; of a good loop what it does now."""

    @property
    def title(self) -> str:
        return TITLES[self.state]


def health_of(status: LoopStatus | None, error: str = "", runs: Sequence[Run] = ()) -> Health:
    """The health of a loop with this status: None where nothing ran, `error` where it cannot be read.

    `runs` are at work in Airflow: what they will do calls for nobody.
    """
    if error:
        return Health("failing", (f"Its status cannot be read: {_first_line(error)}",))
    if status is None:
        if runs:
            return Health("good", (f"{in_airflow(runs)}; nothing has ended yet.",))
        return Health("never", ("Nothing has run yet.",))
    if failing := tuple(_failing(status)):
        return Health("failing", (*failing, *_lacking(status, runs)))
    if lacking := tuple(_lacking(status, runs)):
        return Health("attention", lacking)
    return Health("good", tuple(_at_work(status, runs)) or ("All work is done.",))


def left(status: LoopStatus, runs: Sequence[Run]) -> tuple[Pending, ...]:
    """The work that is left and that none of these runs will do."""
    return tuple(step for step in status.pending if not any(run.will_do(step) for run in runs))


def in_airflow(runs: Sequence[Run]) -> str:
    """Which DAGs are at work, for people."""
    return "At work in Airflow: " + ", ".join(sorted({run.dag for run in runs}, key=_place))


def _place(dag: str) -> int:
    return DAGS.index(dag) if dag in DAGS else len(DAGS)


def _failing(status: LoopStatus) -> Iterator[str]:
    if status.misfit:
        yield f"No stage can run: {_first_line(status.misfit)}"
    for work in status.failed[-1:]:
        others = f" ({len(status.failed) - 1} more)" if len(status.failed) > 1 else ""
        yield f"{work.stage} {work.partition} failed: {_first_line(work.reason)}{others}"
    if astray := [day.partition for day in status.partitions if not day.reconciled]:
        yield f"The rows of {_days(astray)} do not add up."


def _lacking(status: LoopStatus, runs: Sequence[Run]) -> Iterator[str]:
    if asked := status.asked:
        yield f"An approval waits: {asked.what}."
    if status.budget and status.budget.exhausted:
        yield f"Over its budget: {status.budget.sentence}."
    if standing := [day.partition for day in status.partitions if day.standing]:
        yield f"Of {_days(standing)} an earlier version stands in the mart."
    rolling = any(run.dag == "deploy" for run in runs)
    if status.champion and not status.champion.rolled_out and not rolling:
        yield f"Champion {status.champion.version} is not rolled out yet."
    # While it works, what waits is on its way.
    waiting = left(status, runs)
    if waiting and not status.running and not status.queue:
        first = waiting[0]
        more = f" ({len(waiting) - 1} more)" if len(waiting) > 1 else ""
        yield f"{first.stage} {first.partition} waits: {first.reason}{more}"
    if status.refused_runs:
        yield f"W&B does not take {len(status.refused_runs)} run(s)."


def _at_work(status: LoopStatus, runs: Sequence[Run]) -> Iterator[str]:
    if tried := status.trial:
        yield f"{tried.version} is tried beside the champion {tried.over} ({tried.phase})."
    if status.running:
        yield "At work: " + ", ".join(f"{work.stage} {work.partition}" for work in status.running) + "."
    elif runs:
        yield f"{in_airflow(runs)}."
    if status.queue:
        yield f"{len(status.queue)} training(s) wait for a device."


def _days(days: list[str]) -> str:
    return days[0] if len(days) == 1 else f"{len(days)} days, the newest {days[-1]},"


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:200]} …"
