"""What the server says of itself: which loops it serves, which models answer, whether it is ready."""

from __future__ import annotations

from collections.abc import Sequence

from lakeloop.serving.exchange import ServedLoop
from lakeloop.serving.guard.problems import ProblemError, unavailable
from lakeloop.serving.messages import ChallengerInfo, Health, LoopState, ModelInfo, RefusedModel
from lakeloop.serving.router import RETRY_SECONDS, answering
from lakeloop.serving.slots import Refusal
from lakeloop.tasks.registry import task_class


def loop_state(served: ServedLoop) -> LoopState:
    """Whether a loop answers, and with what, or why not."""
    tried = challenger_info(served)
    try:
        model = answering(served.slots)
    except ProblemError as problem:
        return LoopState(
            loop=served.name, task=served.task, ready=False, problem=problem.detail, challenger=tried
        )
    kind = model.predictor.description.contract.kind
    return LoopState(
        loop=served.name,
        task=kind,
        ready=True,
        version=model.release.version,
        since=model.loaded_at,
        challenger=tried,
    )


def challenger_info(served: ServedLoop) -> ChallengerInfo | None:
    """The version that is tried beside the champion of a loop, and how it does here."""
    found = served.slots.challenger.now
    if found is None:
        return None
    return ChallengerInfo(
        version=found.release.version,
        digest=found.release.digest,
        phase=found.trial.phase,
        share=found.trial.share,
        since=found.trial.began_at,
        loaded_at=found.model.loaded_at if found.model else None,
        refused=found.refused.reason if found.refused else None,
        postponed=found.postponed or None,
        stopped=found.tally.stopped or None,
        requests=found.tally.requests,
        failures=found.tally.failures,
    )


def model_info(served: ServedLoop) -> ModelInfo:
    """The model of a loop that answers now.

    Raises:
        ProblemError: 503, the loop has no model that answers.
    """
    model = answering(served.slots)
    description, refused = model.predictor.description, served.slots.champion.refused
    return ModelInfo(
        loop=served.name,
        version=model.release.version,
        digest=model.release.digest,
        candidate=description.candidate,
        method=description.method,
        contract=description.contract,
        reads=description.reads,
        max_tokens=description.max_tokens,
        dataset_digest=description.dataset_digest,
        scores=dict(model.release.scores),
        device=model.predictor.device,
        abstains_below=model.release.below,
        loaded_at=model.loaded_at,
        refused=_refused(refused) if refused else None,
        challenger=challenger_info(served),
        **task_class(description.contract.kind).facts(description.contract),
    )


def _refused(refusal: Refusal) -> RefusedModel:
    release = refusal.release
    return RefusedModel(version=release.version, digest=release.digest, reason=refusal.reason, at=refusal.at)


def readiness(loops: Sequence[ServedLoop]) -> Health:
    """That requests can come: a champion of every loop was looked for, and one loop at least answers.

    A loop without a model does not stop the others: requests to it are told what is missing.

    Raises:
        ProblemError: 503, requests cannot be answered yet, or not any more.
    """
    if len(loops) == 1:
        return Health(status="ready", model_version=answering(loops[0].slots).release.version)
    if waiting := [served.name for served in loops if not served.slots.champion.looked]:
        raise unavailable("starting", "not every loop was looked for yet", found=", ".join(waiting))
    states = [loop_state(served) for served in loops]
    models = {state.loop: state.version for state in states if state.version}
    if not models:
        raise unavailable(
            "no_model",
            "none of the loops has a model that answers; /v1/loops says why",
            expected=" or ".join(served.name for served in loops),
            found=", ".join(f"{state.loop}: {state.problem.code}" for state in states if state.problem),
            retry_seconds=RETRY_SECONDS,
        )
    return Health(status="ready", models=models)
