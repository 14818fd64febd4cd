"""Stage `release`: the gate decides on an evaluation; what passes is registered and becomes champion.

The decision is `lakeloop.gate`, the registry's promises are `lakeloop.registry`; here is the order of steps
that makes a kill anywhere harmless: register, move the alias, write the ledger entry. Each step finds out
whether it was done before, so a new attempt ends with one version and one move.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lakeloop.artifact import open_artifact
from lakeloop.durable import write_atomically
from lakeloop.evaluation.catalogue import metric_named
from lakeloop.faults import reach
from lakeloop.gate.gate import CHEAPEST_FIRST, Decision, Scored, judge
from lakeloop.records import StageRecord
from lakeloop.stages.evaluate import evaluate
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.registry.history import History, ModelCard, ModelVersion, Move
    from lakeloop.registry.registry import Registry


def release(context: StageContext, partition: str) -> StageRecord:
    """Carry out the gate's decision on the newest evaluation of `partition`.

    When another model became champion since the evaluation, the candidates are evaluated again first.
    Done with outputs version, digest, candidate; refused with the gate's reason; skipped when nothing was
    evaluated. Released or refused before with the same outcome: unchanged.

    Raises:
        ArtifactError: the accepted artifact is not whole.
        FenceError: another release moved the champion at this moment.
    """
    from lakeloop.registry.registry import Registry

    config = {"gate": context.loop.gate, "metric": context.loop.evaluate.metric}
    with context.stage("release", partition, config=config) as stage:
        evaluation = context.lake.ledger.latest("evaluate", partition, "done")
        if evaluation is None:
            return stage.skipped(f"no candidate was evaluated for {partition}")
        stage.inputs(evaluation=evaluation.fingerprint, dataset=evaluation.inputs["dataset"])
        if done := stage.unchanged():
            return done
        registry = Registry(context.lake, context.attempt)
        history = registry.read()
        if moved := _moved_before(history, evaluation):
            return _settled(stage, evaluation, history, moved)
        if _champion_changed(history, evaluation):
            evaluation = evaluate(context, partition)
            stage.inputs(evaluation=evaluation.fingerprint)
            history = registry.read()
        decision = _judge(context, evaluation)
        metrics = _metrics(evaluation, decision)
        _track(stage, decision)
        if decision.accepted is None:
            return stage.refused(decision.reason, metrics=metrics, links=evaluation.links)
        version = _register(context, registry, stage, evaluation, decision, decision.accepted)
        reach("release.before-alias")
        champion = history.alias("champion")
        registry.promote(
            version.name,
            over=champion.name if champion else None,
            reason=decision.reason,
            cause=evaluation.fingerprint,
        )
        reach("release.after-alias")
        return _released(stage, evaluation, version, decision.reason, metrics)


def _settled(stage: StageSession, evaluation: StageRecord, history: History, move: Move) -> StageRecord:
    """End a release whose evaluation has moved the champion before: as was decided then."""
    version, champion = history.versions[move.version], history.alias("champion")
    if champion != version:
        now = champion.name if champion else "no version"
        return stage.skipped(f"this evaluation made {version.name} champion before; by now it is {now}")
    return _released(stage, evaluation, version, move.reason, _metrics(evaluation, version.card.decision))


def _judge(context: StageContext, evaluation: StageRecord) -> Decision:
    candidates = [_scored(context, evaluation, name) for name in CHEAPEST_FIRST if name in evaluation.inputs]
    champion = _scored(context, evaluation, "champion") if "champion" in evaluation.inputs else None
    return judge(candidates, champion, context.loop.gate, metric_named(context.loop.evaluate.metric))


def _scored(
    context: StageContext, evaluation: StageRecord, name: Literal["baseline", "finetune", "champion"]
) -> Scored:
    return Scored(
        name=name,
        digest=evaluation.inputs[name],
        score=evaluation.metrics[f"{name}/{context.loop.evaluate.metric}"],
        rows=int(evaluation.outputs["rows"]),
        rows_digest=evaluation.outputs["rows_digest"],
    )


def _moved_before(history: History, evaluation: StageRecord) -> Move | None:
    """The move by which this very evaluation made a version champion: an earlier attempt died after it.

    It counts also when a person went back since: a retry must not undo that.
    """
    moves = (move for move in reversed(history.moves) if move.alias == "champion")
    return next((move for move in moves if move.cause == evaluation.fingerprint), None)


def _champion_changed(history: History, evaluation: StageRecord) -> bool:
    """True when the evaluation compared with another champion than there is now; it says nothing then."""
    champion = history.alias("champion")
    return evaluation.inputs.get("champion") != (champion.digest if champion else None)


def _register(
    context: StageContext,
    registry: Registry,
    stage: StageSession,
    evaluation: StageRecord,
    decision: Decision,
    accepted: Scored,
) -> ModelVersion:
    # Of this attempt alone: another one may be at work in the same folder, and cleans up at its end.
    scratch = Path(tempfile.mkdtemp(prefix="accepted-", dir=stage.work))
    folder = scratch / "artifact"
    try:
        context.lake.files.fetch(evaluation.outputs[f"{accepted.name}_folder"], folder)
        version = registry.register(folder, _card(folder, evaluation, accepted, decision))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    # The card, not the weights: the training that made them has them in its own run.
    path = stage.work / "version.json"
    write_atomically(path, version.model_dump_json(indent=2) + "\n")
    uri = context.lake.files.uri(version.folder_name)
    stage.artifact(
        f"{context.loop.name}-model",
        "model",
        path,
        {"version": version.name, "digest": version.digest, "uri": uri},
    )
    return version


def _card(folder: Path, evaluation: StageRecord, accepted: Scored, decision: Decision) -> ModelCard:
    from lakeloop.registry.history import ModelCard

    description = open_artifact(folder).description
    return ModelCard(
        candidate=description.candidate,
        method=description.method,
        dataset_digest=description.dataset_digest,
        metrics=_scores_of(evaluation, accepted.name),
        decision=decision,
    )


def _released(
    stage: StageSession,
    evaluation: StageRecord,
    version: ModelVersion,
    reason: str,
    metrics: Mapping[str, float],
) -> StageRecord:
    return stage.done(
        reason=f"{version.name} became champion: {reason}",
        outputs={
            "version": version.name,
            "digest": version.digest,
            "candidate": version.card.candidate,
            "model": version.folder_name,
            "dataset": version.card.dataset_digest,
        },
        metrics=metrics,
        links=evaluation.links,
    )


def _metrics(evaluation: StageRecord, decision: Decision) -> dict[str, float]:
    passed = sum(check.passed for check in decision.checks)
    return {
        "checks/passed": float(passed),
        "checks/total": float(len(decision.checks)),
        **(_scores_of(evaluation, decision.accepted.name) if decision.accepted else {}),
    }


def _scores_of(evaluation: StageRecord, name: str) -> dict[str, float]:
    """The overall scores of one model: `macro_f1`, not `baseline/macro_f1`."""
    prefix = f"{name}/"
    scores: Mapping[str, float] = {
        metric.removeprefix(prefix): value
        for metric, value in evaluation.metrics.items()
        if metric.startswith(prefix)
    }
    return {metric: value for metric, value in scores.items() if "/" not in metric}


def _track(stage: StageSession, decision: Decision) -> None:
    stage.table(
        "gate",
        ["check", "passed", "expected", "found"],
        [[check.name, check.passed, check.expected, check.found] for check in decision.checks],
    )
