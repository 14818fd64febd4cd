"""Where a trial stands: what its step asks for, what is known of the requests, and what follows.

Looked at by `trial`, which acts on it, and by those who only show it. Nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from lakeloop.monitoring.canary import Plan, Verdict, verdict
from lakeloop.records import now
from lakeloop.spec.release import Canary, Deploy, Step
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.registry.history import History, Move
    from lakeloop.registry.trials import Trial, TrialEnd


@dataclass(frozen=True)
class TrialStanding:
    """A trial that goes on."""

    trial: Trial
    verdict: Verdict
    next: Step | None
    """The step after this one; None: it becomes champion."""
    evaluated: str
    """The day of the evaluation that let it in; empty where the ledger does not say it any more."""
    plan: Plan
    """What its step asks for."""

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.trial.version} beside the champion {self.trial.over}, {title_of(self.trial)}"

    @property
    def sentence(self) -> str:
        """For people: which version is where, and what of it is known."""
        reason = self.verdict.reason
        known = "; ".join(each.sentence for each in self.verdict.signals if each.sentence not in reason)
        return f"{self.where}: {reason}{self.waits}{f'. {known}' if known else ''}"

    @property
    def waits(self) -> str:
        """Until when requests are waited for, and what follows without them; empty where nothing waits."""
        if self.verdict.action != "wait":
            return ""
        until = self.trial.began_at + timedelta(hours=self.plan.hours)
        then = "it goes on" if self.plan.otherwise == "go_on" else "the trial ends"
        return f", waited for until {until:%Y-%m-%d %H:%M} UTC (deploy); with fewer {then}"


def trial_standing(context: StageContext) -> TrialStanding | None:
    """Where the trial of the context's loop stands, now; None when no version is tried.

    Reads the registry, and of the tables of requests the days since the step began.
    """
    from lakeloop.monitoring.requests import requests_of
    from lakeloop.registry.registry import Registry
    from lakeloop.tasks.registry import task_class

    history = Registry(context.lake, context.attempt).read()
    trial = history.trial
    if trial is None:
        return None
    plan, after = plan_of(context.loop.deploy, trial)
    evaluated = evaluated_on(context, trial)
    known = requests_of(context.lake, context.loop, trial, history.versions, evaluated)
    found = verdict(
        known.seen,
        plan,
        (now() - trial.began_at).total_seconds() / 3600,
        champion=known.champion,
        measured=not task_class(context.loop.task.kind).right_or_wrong,
    )
    return TrialStanding(trial, found, after, evaluated, plan)


def plan_of(deploy: Deploy, trial: Trial) -> tuple[Plan, Step | None]:
    """What the step of `trial` asks for, and the step after it.

    The loop file may have changed since it began: a share that it does not name any more asks for what its
    canary asks for; a phase that it does not have any more asks for what is usual.
    """
    asked = deploy.canary if trial.phase == "canary" else deploy.shadow
    asked = asked or Canary()
    after = next((step for step in deploy.steps if step.share > trial.share), None)
    steps = max(len(deploy.steps), 1)
    return Plan(asked.requests, asked.hours, asked.otherwise, trial.share, steps), after


def evaluated_on(context: StageContext, trial: Trial) -> str:
    """The day of the evaluation that let the version in; empty where the ledger does not say it any more."""
    entries = context.lake.ledger.entries("evaluate", status="done")
    days = (entry.partition for entry in reversed(entries) if entry.fingerprint == trial.cause)
    return next(days, "")


def title_of(trial: Trial) -> str:
    """In which step it is, for people."""
    return "in the shadow" if trial.phase == "shadow" else f"canary of {trial.share:.0%} of the requests"


def told(end: TrialEnd | Move | Trial) -> str:
    """How a step of a trial ended, a sentence."""
    from lakeloop.registry.history import Move
    from lakeloop.registry.trials import TrialEnd

    by = f" by {end.by}" if end.by else ""
    if isinstance(end, TrialEnd):
        return f"its trial was ended{by}: {end.reason}"
    if isinstance(end, Move):
        return f"{end.version} became champion{by}: {end.reason}"
    return f"{end.version} went on to be {title_of(end)}{by}: {end.reason}"


def last_told(history: History) -> str:
    """How the newest trial ended, a sentence; empty where there was none, or it goes on."""
    if not history.trials or history.trial:
        return ""
    trial = history.trials[-1]
    end, where = history.end_of(trial), title_of(trial)
    # A stage says in its reason where that was: once is enough.
    return f"{trial.version}, {where}: {told(end).replace(f': {where}: ', ': ', 1)}" if end else ""


def to_end(context: StageContext) -> str:
    """What a person does about a trial."""
    name = context.loop.name
    return f'see how it does: lakeloop trial {name}; or end it: lakeloop rollback {name} --reason "…"'
