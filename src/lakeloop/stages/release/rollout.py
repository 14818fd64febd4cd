"""Stage `rollout`: the champion answers at the model server, proven by asking it.

Who is champion was decided before (`release`), and the server takes it into use by itself
(`lakeloop.serving`). Here is the wait for the server, and the texts that are sent to it then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lakeloop.errors import ArtifactError, ConfigurationError, ServiceError
from lakeloop.plural import counted
from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import REPORT
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.progress import newest
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.tasks.reading import smoke_instances

if TYPE_CHECKING:
    from lakeloop.registry.history import ModelVersion
    from lakeloop.registry.registry import Registry
    from lakeloop.serving.client import ModelServer

STAGE = "rollout"
_LOOK_EVERY_SECONDS = 0.5
_GLANCE_SECONDS = 1.0
"""For the server's answer to who only shows a loop: a page waits."""


def rollout(context: StageContext, partition: str, *, timeout_seconds: float = 120.0) -> StageRecord:
    """Wait until the model server answers with the champion, then send it `deploy.smoke_texts`.

    Unchanged when this champion was rolled out before and still is what the server answers with; skipped
    when there is no champion, or when another model became champion while this one was awaited.

    Raises:
        ConfigurationError: the server does not serve this loop, or not with our key.
        ServiceError: no server, or it did not take the champion within `timeout_seconds`.
        ArtifactError: the server refused the champion's artifact.
    """
    from lakeloop.registry.registry import Registry
    from lakeloop.serving.client import ModelServer
    from lakeloop.serving.keys import own_key

    registry, loop, settings = Registry(context.lake), context.loop.name, context.settings
    config = context.loop.deploy.model_dump(mode="json", exclude_defaults=True)
    with (
        context.stage(STAGE, partition, config=config) as stage,
        ModelServer(settings.server_url, loop, own_key(settings.serve_keys_file)) as server,
    ):
        champion = registry.champion()
        if champion is None:
            return stage.skipped(f"{loop} has no champion yet", to_do=f"lakeloop run {loop}")
        stage.inputs(champion=champion.name, digest=champion.digest, server=server.url)
        served_last = _was_last(context, champion) and _serves(server.model(), champion)
        if served_last and (done := stage.unchanged()):
            return done
        started = time.monotonic()
        if newer := _await(server, registry, champion, loop, started + timeout_seconds):
            return stage.skipped(f"{champion.name} was overtaken by {newer.name}, which has its own roll-out")
        return _prove(stage, server, champion, time.monotonic() - started)


def answers_now(context: StageContext, champion: ModelVersion) -> bool:
    """Whether the model server says, at once, that it answers with `champion`; it is sent no text.

    A move by hand is taken up within seconds, long before a roll-out proves it.
    """
    from lakeloop.serving.client import ModelServer
    from lakeloop.serving.keys import own_key

    settings = context.settings
    try:
        key = own_key(settings.serve_keys_file)
    except ConfigurationError:
        return False
    with ModelServer(settings.server_url, context.loop.name, key, seconds=_GLANCE_SECONDS) as server:
        return _serves(server.model(), champion)


def pending(standing: Standing) -> Iterator[Pending]:
    """The champion, when a release made it one and the last roll-out was of another model."""
    champion, last = standing.champion, newest(standing.entries, STAGE)
    if champion is None or (last and last.outputs.get("digest") == champion.digest):
        return
    released = [
        entry
        for entry in standing.entries
        if entry.stage == "release" and entry.outputs.get("digest") == champion.digest
    ]
    if released:
        before = f"the last roll-out was {last.outputs['version']}" if last else "nothing was rolled out yet"
        reason = f"{champion.name} is champion and not rolled out; {before}"
        yield Pending(STAGE, released[-1].partition, reason)


def _was_last(context: StageContext, champion: ModelVersion) -> bool:
    """True when the newest roll-out of any partition was of this model, and not of one rolled back since."""
    last = context.lake.ledger.latest(STAGE, status="done")
    return last is not None and last.outputs.get("digest") == champion.digest


def _prove(stage: StageSession, server: ModelServer, champion: ModelVersion, seconds: float) -> StageRecord:
    """Send the smoke texts and end the stage with the answers; the server was awaited for `seconds`."""
    from lakeloop.lake.tables import SMOKE

    rows = smoke_instances(stage.context.loop)
    metrics = {"rollout/seconds_to_serve": seconds, "rollout/smoke_texts": float(len(rows))}
    answers: list[dict[str, Any]] = []
    if rows:
        started = time.monotonic()
        told = server.ask(rows, request_id=f"{SMOKE}{stage.partition}-{champion.name}")
        metrics["rollout/smoke_ms"] = (time.monotonic() - started) * 1000
        metrics |= {f"rollout/smoke_{name}": number for name, number in told.numbers.items()}
        _require_version(server, told.version, champion)
        answers = [
            {"text": row.text, **row.beside, **answer.model_dump()}
            for row, answer in zip(rows, told.answers, strict=True)
        ]
        shown = [[row.shown, said] for row, said in zip(rows, told.shown, strict=True)]
        stage.tracker.table("smoke", ["text", "answer"], shown)
    stage.tracker.log(metrics)
    page = stage.context.settings.server_link.rstrip("/") or server.url
    return stage.done(
        reason=f"{champion.name} answers at {server.url} after {seconds:.1f} s;"
        f" {counted(len(rows), 'text')} answered",
        outputs={
            "version": champion.name,
            "digest": champion.digest,
            "answers": json.dumps(answers, ensure_ascii=False),
        },
        metrics=metrics,
        links={
            "api_docs": f"{page}/docs",
            "model": f"{page}{server.path}/model",
            **_report_of(stage.context, champion),
        },
    )


def _report_of(context: StageContext, champion: ModelVersion) -> dict[str, str]:
    """The report of the evaluation that the champion was released by; none where the ledger has none."""
    for entry in reversed(context.lake.ledger.entries("release", status="done")):
        if entry.outputs.get("digest") == champion.digest and (report := entry.links.get(REPORT)):
            return {REPORT: report}
    return {}


def _await(
    server: ModelServer, registry: Registry, champion: ModelVersion, loop: str, deadline: float
) -> ModelVersion | None:
    """Return None once the server answers with `champion`, or the champion that took its place meanwhile."""
    while True:
        model = server.model()
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
                where=server.url,
                expected=f"{champion.name}, digest {champion.digest[:12]}",
                found=_describe(model),
                remedy=f"start it: lakeloop serve {loop}; its log says why a version is not taken",
            )
        time.sleep(_LOOK_EVERY_SECONDS)


def _serves(model: dict[str, Any], champion: ModelVersion) -> bool:
    return (model.get("version"), model.get("digest")) == (champion.name, champion.digest)


def _require_own(server: ModelServer, model: dict[str, Any], loop: str) -> None:
    from lakeloop.serving.keys import NO_KEY

    error = model.get("error") or {}
    if error.get("code") == "no_such_loop":
        raise ConfigurationError(
            "the model server does not serve this loop",
            where=server.url,
            expected=loop,
            found=str(error.get("expected")),
            remedy="see its log: it takes up a new loop file by itself, unless it was started for certain"
            " loops; or set LAKELOOP_SERVER_URL to a server of this loop",
        )
    if error.get("code") == NO_KEY:
        raise ConfigurationError(
            "the model server does not know our key",
            where=server.url,
            expected="one of its keys",
            remedy="set LAKELOOP_SERVE_KEYS_FILE here to a file that begins with one; the server reads its"
            " own file when it starts",
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


def _require_version(server: ModelServer, version: str, champion: ModelVersion) -> None:
    if version != champion.name:
        raise ServiceError(
            "another version answered the smoke texts",
            where=server.url,
            expected=champion.name,
            found=version,
        )


def _describe(model: dict[str, Any]) -> str:
    if error := model.get("error"):
        return f"{error.get('code')}: {error.get('message')}"
    return f"{model.get('version')}, digest {str(model.get('digest'))[:12]}"
