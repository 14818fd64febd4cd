"""Stage `release`: the gate decides on an evaluation; what passes is registered and becomes champion.

Where the loop file says so (`deploy.shadow`, `deploy.canary`) and there is a champion, it is tried beside
that first: `trial` decides then. The decision is `lakeloop.gate`, the registry's promises are
`lakeloop.registry`; here is the order of steps that makes a kill anywhere harmless: register, move the alias
or begin the trial, write the ledger entry. Each step finds out whether it was done before, so a new attempt
ends with one version and one move.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.evidence import Evidence
from lakeloop.faults import reach
from lakeloop.records import StageRecord
from lakeloop.scratch.folder import passing_folder
from lakeloop.spec.identity import identity
from lakeloop.stages.frame.experiment import refuse
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.progress import newest
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.release.approval import question_of
from lakeloop.stages.release.standing import to_end, told
from lakeloop.stages.release.telling import CHAMPION, tell_version

if TYPE_CHECKING:
    from lakeloop.gate.decide import Decision
    from lakeloop.registry.history import Answer, History, ModelVersion, Move
    from lakeloop.registry.registry import Registry
    from lakeloop.registry.trials import Trial

log = logging.getLogger(__name__)


def release(context: StageContext, partition: str) -> StageRecord:
    """Carry out the gate's decision on the newest evaluation of `partition`.

    Done with outputs version, digest, candidate, decision; refused with the gate's reason; skipped when
    nothing was evaluated, while a person is asked, and, with outputs decision and superseded_by, when a newer
    candidate is asked about instead. Released or refused before with the same outcome: unchanged.

    Raises:
        ConfigurationError: asked of an experiment.
        ArtifactError: the accepted artifact is not whole, or the evidence is not what was stored.
        FenceError: another model became champion since the evaluation, or another release moved the champion
            at this moment: `approval.prepare`, then release, as the catalogue's function does.
    """
    from lakeloop.registry.registry import Registry

    refuse(context, "released")
    with context.stage("release", partition, config=identity(context.loop, "release")) as stage:
        evaluation = context.lake.ledger.latest("evaluate", partition, "done")
        if evaluation is None:
            return stage.skipped(
                f"no candidate was evaluated for {partition}", to_do=run_first(context, "evaluate", partition)
            )
        question = question_of(context, evaluation)
        if question and question.open:
            # Without the evaluation among its inputs: it still waits for a decision.
            return stage.skipped(
                f"waits for a person: {question.decision.reason}", to_do=_to_ask(context, partition)
            )
        registry = Registry(context.lake, context.attempt)
        history = registry.read()
        answer = history.answer_to(evaluation.fingerprint)
        said = {"answer": str(answer.sequence)} if answer else {}
        made_from = {"evaluation": evaluation.fingerprint, "dataset": evaluation.inputs["dataset"], **said}
        if answer and answer.superseded_by:
            stage.inputs(**made_from)
            return _ended(stage, evaluation, answer)
        if (trial := history.trial) and _is_later(context, evaluation, trial):
            # Without the evaluation among its inputs, too.
            return stage.skipped(f"waits until the trial of {trial.version} ends", to_do=to_end(context))
        stage.inputs(**made_from)
        return stage.unchanged() or _carry_out(stage, registry, history, evaluation, answer)


def _ended(stage: StageSession, evaluation: StageRecord, answer: Answer) -> StageRecord:
    """End a release whose question a newer candidate ended: nothing is decided about its candidate."""
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.gate.decide import decide
    from lakeloop.registry.decisions import SUPERSEDED

    decision = decide(evidence_of(stage.context.lake.files, evaluation), stage.context.loop)
    day, loop = answer.superseded_by, stage.context.loop.name
    return stage.skipped(
        f"{answer.title}, automatically; neither approved nor rejected: {decision.reason}",
        to_do=f"answer to that one: lakeloop dossier {loop} --partition {day}; when it was rejected, this one"
        f' can be approved: lakeloop approve {loop} --partition {evaluation.partition} --reason "…"',
        outputs={SUPERSEDED: day, **_stored(stage, decision)},
        links=evaluation.links,
    )


def _is_later(context: StageContext, evaluation: StageRecord, trial: Trial) -> bool:
    """The trial is of another evaluation, and this one was not decided on."""
    if trial.cause == evaluation.fingerprint:
        return False
    entries = context.lake.ledger.entries("release", evaluation.partition)
    return all(entry.inputs.get("evaluation") != evaluation.fingerprint for entry in entries)


def _carry_out(
    stage: StageSession, registry: Registry, history: History, evaluation: StageRecord, answer: Answer | None
) -> StageRecord:
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.gate.decide import decide

    evidence = evidence_of(stage.context.lake.files, evaluation)
    if moved := history.made_champion_by(evaluation.fingerprint):
        # An earlier attempt died after the move. A retry must not undo what a person rolled back since.
        return _settled(stage, evaluation, evidence, history, moved)
    if tried := history.tried_by(evaluation.fingerprint):
        return _tried(stage, evaluation, evidence, history, tried)
    _require_same_champion(stage.context, history, evidence)
    decision = decide(evidence, stage.context.loop)
    _track(stage, decision)
    reason = "; ".join([*([answer.title] if answer else []), decision.reason])
    if decision.accepted is None or (answer and not answer.approved):
        outputs, metrics = _stored(stage, decision), _metrics(evidence, decision)
        return stage.refused(reason, outputs=outputs, metrics=metrics, links=evaluation.links)
    version = _register(registry, stage, evaluation, evidence, decision, answer)
    reach("release.before-alias")
    champion = history.alias("champion")
    over = champion.name if champion else None
    if champion and version != champion and (steps := stage.context.loop.deploy.steps):
        trial = registry.begin_trial(
            version.name,
            steps[0].phase,
            steps[0].share,
            over=over,
            reason=reason,
            cause=evaluation.fingerprint,
        )
        reach("release.after-trial")
        return _released(stage, evaluation, evidence, version, trial.reason, over=over)
    registry.promote(version.name, over=over, reason=reason, cause=evaluation.fingerprint)
    reach("release.after-alias")
    return _released(stage, evaluation, evidence, version, reason)


def _to_ask(context: StageContext, partition: str) -> str:
    name = context.loop.name
    return f'lakeloop approve {name} --partition {partition} --reason "…" (or reject), or answer in Airflow'


def pending(standing: Standing) -> Iterator[Pending]:
    """The newest evaluation, while the gate did not decide on it; not while another version is tried."""
    if standing.trial:
        return
    evaluation = newest(standing.entries, "evaluate")
    if evaluation is None:
        return
    decided = {entry.inputs.get("evaluation") for entry in standing.entries if entry.stage == "release"}
    if evaluation.fingerprint not in decided:
        reason = f"evaluated and not decided upon: {evaluation.reason}"
        yield Pending("release", evaluation.partition, reason)


def _settled(
    stage: StageSession, evaluation: StageRecord, evidence: Evidence, history: History, move: Move
) -> StageRecord:
    """End a release whose evaluation has moved the champion before: as was decided then."""
    version, champion = history.versions[move.version], history.alias("champion")
    if champion != version:
        now = champion.name if champion else "no version"
        return stage.skipped(f"this evaluation made {version.name} champion before; by now it is {now}")
    return _released(stage, evaluation, evidence, version, move.reason)


def _tried(
    stage: StageSession, evaluation: StageRecord, evidence: Evidence, history: History, trial: Trial
) -> StageRecord:
    """End a release whose evaluation has begun a trial before: as was decided then."""
    version, ended = history.versions[trial.version], history.end_of(trial)
    if ended:
        return stage.skipped(f"this evaluation had {version.name} tried before; {told(ended)}")
    return _released(stage, evaluation, evidence, version, trial.reason, over=trial.over)


def _require_same_champion(context: StageContext, history: History, evidence: Evidence) -> None:
    """An evaluation that compared with another champion than there is now says nothing."""
    judged, champion = evidence.champion, history.alias("champion")
    if (judged.digest if judged else None) != (champion.digest if champion else None):
        raise FenceError(
            "another model became champion since the evaluation",
            where=f"{context.loop.name} {evidence.partition}",
            expected=f"champion {judged.title if judged else 'none'}, as evaluated",
            found=champion.name if champion else "no champion",
            remedy=f"release again: lakeloop release {context.loop.name} --partition {evidence.partition}"
            " evaluates first",
        )


def _register(
    registry: Registry,
    stage: StageSession,
    evaluation: StageRecord,
    evidence: Evidence,
    decision: Decision,
    answer: Answer | None,
) -> ModelVersion:
    from lakeloop.evaluation.stored import OUTPUT
    from lakeloop.registry.history import CARD_FORMAT, ModelCard
    from lakeloop.registry.stored import description_in

    assert decision.accepted is not None
    accepted = decision.accepted
    folder = evidence.model(accepted.name).folder
    description = description_in(stage.context.lake.files, folder)
    card = ModelCard(
        format=CARD_FORMAT,
        candidate=description.candidate,
        method=description.method,
        dataset_digest=description.dataset_digest,
        metrics=evidence.model(accepted.name).scores,
        evidence=evaluation.outputs.get(OUTPUT, ""),
        decision=decision,
        thresholds=evidence.model(accepted.name).thresholds,
        answer=answer,
    )
    version = registry.register_stored(folder, accepted.digest, card)
    _keep_card(stage, version, evidence)
    tell_version(stage.tracker, stage.context.lake, stage.work, version)
    return version


def _keep_card(stage: StageSession, version: ModelVersion, evidence: Evidence) -> None:
    """Keep the card as of now; where nothing can word it, who asks for it first has it made."""
    from lakeloop.registry.card import kept_card

    try:
        kept_card(stage.context.lake.files, stage.context.loop, version, lambda: evidence)
    except ConfigurationError as error:
        log.warning("the model card of %s is made when it is asked for: %s", version.name, error)


def _released(
    stage: StageSession,
    evaluation: StageRecord,
    evidence: Evidence,
    version: ModelVersion,
    reason: str,
    *,
    over: str | None = None,
) -> StageRecord:
    """`over` is the champion that the version is tried beside; None: it took its place at once."""
    what = f"{version.name} is tried beside the champion {over}"
    if over is None:
        what = f"{version.name} became champion"
        tell_version(stage.tracker, stage.context.lake, stage.work, version, CHAMPION)
    return stage.done(
        reason=f"{what}: {reason}",
        outputs={
            "version": version.name,
            "digest": version.digest,
            "candidate": version.card.candidate,
            "model": version.folder_name,
            "dataset": version.card.dataset_digest,
            **_stored(stage, version.card.decision),
        },
        metrics=_metrics(evidence, version.card.decision),
        links=evaluation.links,
    )


def _stored(stage: StageSession, decision: Decision) -> dict[str, str]:
    from lakeloop.registry.decisions import OUTPUT, store_decision

    with passing_folder(stage.work, "decision") as scratch:
        return {OUTPUT: store_decision(stage.context.lake.files, decision, scratch)}


def _metrics(evidence: Evidence, decision: Decision) -> dict[str, float]:
    passed = sum(check.passed for check in decision.checks)
    return {
        "checks/passed": float(passed),
        "checks/total": float(len(decision.checks)),
        **(evidence.model(decision.accepted.name).scores if decision.accepted else {}),
    }


def _track(stage: StageSession, decision: Decision) -> None:
    stage.tracker.table(
        "gate",
        ["check", "passed", "expected", "found"],
        [[check.name, check.passed, check.expected, check.found] for check in decision.checks],
    )
