"""Stage `rollout`: the champion answers at the model server, proven by asking it.

Who is champion was decided before (`release`), and the server takes it into use by itself
(`lakeloop.serving`). Here is the waiting until it did, and the texts that are sent to it then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lakeloop.errors import ArtifactError, ConfigurationError, ServiceError
from lakeloop.records import StageRecord
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    import httpx

    from lakeloop.registry.history import ModelVersion
    from lakeloop.registry.registry import Registry

STAGE = "rollout"
_LOOK_EVERY_SECONDS = 0.5
_REQUEST_SECONDS = 30.0


def rollout(context: StageContext, partition: str, *, timeout_seconds: float = 120.0) -> StageRecord:
    """Wait until the model server answers with the champion, then send it `deploy.smoke_texts`.

    Unchanged when this champion was rolled out before and still is what the server answers with; skipped
    when there is no champion, or when another one came while this one was awaited.

    Raises:
        ConfigurationError: the server serves another loop.
        ServiceError: no server, or it did not take the champion within `timeout_seconds`.
        ArtifactError: the server refused the champion's artifact.
    """
    import httpx

    from lakeloop.registry.registry import Registry

    registry = Registry(context.lake)
    url = context.settings.server_url.rstrip("/")
    with (
        context.stage(STAGE, partition, config=context.loop.deploy) as stage,
        httpx.Client(base_url=url, timeout=_REQUEST_SECONDS) as server,
    ):
        champion = registry.champion()
        if champion is None:
            return stage.skipped(f"{context.loop.name} has no champion yet")
        stage.inputs(champion=champion.name, digest=champion.digest, server=url)
        served_last = _was_last(context, champion) and _serves(_model(server), champion)
        if served_last and (done := stage.unchanged()):
            return done
        started = time.monotonic()
        if newer := _await(server, registry, champion, context.loop.name, started + timeout_seconds):
            return stage.skipped(f"{champion.name} was overtaken by {newer.name}, which has its own roll-out")
        seconds = time.monotonic() - started
        return _prove(stage, server, champion, context.loop.deploy.smoke_texts, seconds)


def _was_last(context: StageContext, champion: ModelVersion) -> bool:
    """True when the newest roll-out of any partition was of this model, and not of one rolled back since."""
    last = context.lake.ledger.latest(STAGE, status="done")
    return last is not None and last.outputs.get("digest") == champion.digest


def _prove(
    stage: StageSession, server: httpx.Client, champion: ModelVersion, texts: Sequence[str], seconds: float
) -> StageRecord:
    """Send the smoke texts and end the stage with what came back."""
    metrics = {"rollout/seconds_to_serve": seconds, "rollout/smoke_texts": float(len(texts))}
    answers: list[dict[str, Any]] = []
    if texts:
        started = time.monotonic()
        answers = _ask(server, champion, texts, request_id=f"smoke-{stage.partition}-{champion.name}")
        metrics["rollout/smoke_ms"] = (time.monotonic() - started) * 1000
        metrics["rollout/smoke_lowest_score"] = min(answer["score"] for answer in answers)
        rows = [[answer["text"], answer["label"], answer["score"]] for answer in answers]
        stage.table("smoke", ["text", "label", "score"], rows)
    stage.log(metrics)
    url = str(server.base_url).rstrip("/")
    page = stage.context.settings.server_link.rstrip("/") or url
    return stage.done(
        reason=f"{champion.name} answers at {url} after {seconds:.1f} s; {len(answers)} texts answered",
        outputs={
            "version": champion.name,
            "digest": champion.digest,
            "answers": json.dumps(answers, ensure_ascii=False),
        },
        metrics=metrics,
        links={"api_docs": f"{page}/docs", "model": f"{page}/v1/model"},
    )


def _await(
    server: httpx.Client, registry: Registry, champion: ModelVersion, loop: str, deadline: float
) -> ModelVersion | None:
    """Return None once the server answers with `champion`, or the champion that took its place meanwhile."""
    while True:
        model = _model(server)
        _require_own(server, model, loop)
        if _serves(model, champion):
            return None
        _require_not_refused(model, champion)
        now = registry.champion()
        if now is not None and now.digest != champion.digest:
            return now
        if time.monotonic() >= deadline:
            raise ServiceError(
                "the model server does not answer with the champion",
                where=str(server.base_url),
                expected=f"{champion.name}, digest {champion.digest[:12]}",
                found=_describe(model),
                remedy=f"start it: lakeloop serve {loop}; its log says why a version is not taken",
            )
        time.sleep(_LOOK_EVERY_SECONDS)


def _model(server: httpx.Client) -> dict[str, Any]:
    """What /v1/model says; the error part of it, or what kept us from asking."""
    import httpx

    try:
        answer: dict[str, Any] = server.get("/v1/model").json()
    except (httpx.HTTPError, ValueError) as error:
        return {"error": {"code": type(error).__name__, "message": str(error)}}
    return answer


def _serves(model: dict[str, Any], champion: ModelVersion) -> bool:
    return (model.get("version"), model.get("digest")) == (champion.name, champion.digest)


def _require_own(server: httpx.Client, model: dict[str, Any], loop: str) -> None:
    if (found := model.get("loop", loop)) != loop:
        raise ConfigurationError(
            "the model server serves another loop",
            where=str(server.base_url),
            expected=loop,
            found=str(found),
            remedy=f"serve this one (make down, then lakeloop up {loop}), or set LAKELOOP_SERVER_URL",
        )


def _require_not_refused(model: dict[str, Any], champion: ModelVersion) -> None:
    refused = model.get("refused") or {}
    error = model.get("error") or {}
    reason = ""
    if (refused.get("version"), refused.get("digest")) == (champion.name, champion.digest):
        reason = refused["reason"]
    elif error.get("code") == "model_refused" and champion.digest in error.get("expected", ""):
        reason = error["found"]
    if reason:
        raise ArtifactError(
            f"the model server refused {champion.name} and stays with {model.get('version', 'no version')}",
            found=reason,
            remedy="release another version; this one cannot be served",
        )


def _describe(model: dict[str, Any]) -> str:
    if error := model.get("error"):
        return f"{error.get('code')}: {error.get('message')}"
    return f"{model.get('version')}, digest {str(model.get('digest'))[:12]}"


def _ask(
    server: httpx.Client, champion: ModelVersion, texts: Sequence[str], *, request_id: str
) -> list[dict[str, Any]]:
    """The answers to `texts`, in order, each with its text.

    Raises:
        ServiceError: the server did not answer, or another version did.
    """
    import httpx

    try:
        response = server.post("/v1/predict", json={"texts": list(texts), "request_id": request_id})
        response.raise_for_status()
        body = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceError(
            "the model server did not answer the smoke texts", where=str(server.base_url), found=str(error)
        ) from error
    if body["model_version"] != champion.name:
        raise ServiceError(
            "another version answered the smoke texts",
            where=str(server.base_url),
            expected=champion.name,
            found=str(body["model_version"]),
        )
    return [{"text": text, **prediction} for text, prediction in zip(texts, body["predictions"], strict=True)]
