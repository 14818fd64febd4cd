"""Stage `trial`: a version that the gate let in is beside the champion, and what requests say decides.

It goes through the steps of the loop file (`deploy.shadow`, then each share of `deploy.canary`). Where
nothing speaks against it after enough requests it goes on, at last into the champion's place; where it does
worse it is taken out, and the champion stays. A person may do either at any time: each step is made against
the state that it was decided on, so what a person did stands. Judging is `lakeloop.monitoring.canary`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from lakeloop.faults import reach
from lakeloop.records import StageRecord, now
from lakeloop.stages.frame.experiment import refuse
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.release.standing import (
    TrialStanding,
    last_told,
    plan_of,
    title_of,
    trial_standing,
)
from lakeloop.stages.release.telling import CHAMPION, ROLLED_BACK, tell_version

if TYPE_CHECKING:
    from lakeloop.registry.registry import Registry

STAGE = "trial"
_LOOK_EVERY_SECONDS = 2.0
_SLACK = timedelta(hours=1)
"""How long after the end of a step's time somebody must have looked."""


def trial(context: StageContext, partition: str, *, wait_seconds: float = 0.0) -> StageRecord:
    """Look at the trial that goes on, and do what follows.

    With `wait_seconds` it is looked at again and again until something follows, so long at most.

    Done when the version went on to the next step, or became champion, with outputs version, digest, phase,
    share; refused when it was taken out; skipped while requests are waited for, when no version is tried, and
    when a person, or a move of the champion, was first. Metrics: `trial/requests`, and of each signal
    `trial/<signal>/share`, `/champion`, `/evidence`.

    Raises:
        ConfigurationError: asked of an experiment.
        FenceError: another writer changed the registry meanwhile: look again.
    """
    from lakeloop.registry.registry import Registry

    refuse(context, "tried")
    config = context.loop.deploy.model_dump(mode="json", exclude_defaults=True)
    deadline = time.monotonic() + wait_seconds
    found = trial_standing(context)
    while found and found.verdict.action == "wait" and time.monotonic() < deadline:
        time.sleep(min(_LOOK_EVERY_SECONDS, max(deadline - time.monotonic(), 0.0)))
        found = trial_standing(context)
    with context.stage(STAGE, partition, config=config) as stage:
        registry = Registry(context.lake, context.attempt)
        if found is None:
            last = last_told(registry.read())
            return stage.skipped(f"no version is tried{f'; the last was {last}' if last else ''}")
        stage.inputs(version=found.trial.version, trial=str(found.trial.sequence))
        _track(stage, found)
        if found.verdict.action == "wait":
            return stage.skipped(found.sentence)
        return _act(stage, registry, found)


def waiting(context: StageContext) -> str:
    """What the trial waits for; empty when there is something to do, or no trial."""
    found = trial_standing(context)
    return found.sentence if found and found.verdict.action == "wait" else ""


def pending(standing: Standing) -> Iterator[Pending]:
    """The trial whose time is over, where nobody has looked: who waits for it has died."""
    tried = standing.trial
    if tried is None:
        return
    plan, _ = plan_of(standing.loop.deploy, tried)
    over = tried.began_at + timedelta(hours=plan.hours)
    if now() < over + _SLACK:
        return
    days = [entry.partition for entry in standing.entries if entry.fingerprint == tried.cause]
    reason = f"the time of {tried.version}, {title_of(tried)}, was over at {over:%Y-%m-%d %H:%M}"
    yield Pending(STAGE, days[-1] if days else f"{tried.began_at:%Y-%m-%d}", reason)


def _act(stage: StageSession, registry: Registry, found: TrialStanding) -> StageRecord:
    """Carry out the verdict, unless somebody was first."""
    tried, reason, where = found.trial, found.verdict.reason, title_of(found.trial)
    reach("trial.before-move")
    if found.verdict.action == "end":
        acted = registry.end_trial(tried.version, reason=f"{where}: {reason}", phase=tried) is not None
        said = f"{tried.version}, {where}, was taken back; the champion {tried.over} stays: {reason}"
    elif found.next:
        acted = registry.next_phase(tried, found.next.phase, found.next.share, reason=reason) is not None
        said = f"{tried.version} goes on, {found.next.title}: {reason}"
    else:
        acted = registry.win_trial(tried, reason=f"{where}: {reason}") is not None
        said = f"{tried.version} became champion in place of {tried.over}: {reason}"
    reach("trial.after-move")
    if not acted:
        return stage.skipped(f"somebody was first: {last_told(registry.read()) or 'it is in another step'}")
    version = registry.read().versions[tried.version]
    if found.verdict.action == "end" or not found.next:
        alias = ROLLED_BACK if found.verdict.action == "end" else CHAMPION
        tell_version(stage.tracker, stage.context.lake, stage.work, version, alias)
    outputs = {
        "version": version.name,
        "digest": version.digest,
        "phase": tried.phase,
        "share": f"{tried.share:g}",
        "requests": str(found.verdict.ours),
        "next": "none" if found.verdict.action == "end" else found.next.title if found.next else "champion",
    }
    metrics, links = found.verdict.metrics, _links(stage, found)
    if found.verdict.action == "end":
        return stage.refused(said, outputs=outputs, metrics=metrics, links=links)
    return stage.done(reason=said, outputs=outputs, metrics=metrics, links=links)


def _links(stage: StageSession, found: TrialStanding) -> dict[str, str]:
    """Those of the evaluation."""
    entry = stage.context.lake.ledger.latest("evaluate", found.evaluated, "done") if found.evaluated else None
    return dict(entry.links) if entry else {}


def _track(stage: StageSession, found: TrialStanding) -> None:
    """The evidence of each signal by the number of requests, and what was counted."""
    for requests, evidence in found.verdict.path:
        stage.tracker.log({f"trial/{name}/evidence": one for name, one in evidence.items()}, step=requests)
    columns = ["signal", "requests", "bad", "of the champion", "bad of them", "evidence", "enough"]
    rows = [
        [each.title, each.ours, each.bad_ours, each.theirs, each.bad_theirs, each.evidence, each.enough]
        for each in found.verdict.signals
    ]
    stage.tracker.table("signals", columns, rows)
