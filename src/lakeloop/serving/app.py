"""The model server's HTTP interface: its routes, and the order in which its parts start and stop.

Everything a route needs is handed to `create_app`; where champions come from and predictions go to is decided
by `server`. Answers to the same text differ only with the model version, which every answer names.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Response
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

import lakeloop
from lakeloop.records import now
from lakeloop.serving.champion import Champion, ServedModel
from lakeloop.serving.inference import InferenceQueue
from lakeloop.serving.limits import BodyLimit, Limits
from lakeloop.serving.messages import (
    Answer,
    Health,
    ModelInfo,
    PredictRequest,
    PredictResponse,
    RefusedModel,
)
from lakeloop.serving.metrics import ServerMetrics, Timing
from lakeloop.serving.predictions import Answered, PredictionLog
from lakeloop.serving.predictor import Prediction
from lakeloop.serving.problems import ErrorBody, ProblemError, install, unavailable

_RETRY_SECONDS = 10
"""When a server without a model says to come back."""


@dataclass(frozen=True)
class Service:
    """The parts of one server process."""

    loop: str
    champion: Champion
    predictions: PredictionLog
    limits: Limits
    metrics: ServerMetrics


def create_app(service: Service) -> FastAPI:
    """The ASGI app of one loop's model server; starts and stops the parts of `service` with itself."""
    queue = InferenceQueue(service.limits.lanes, service.limits.waiting, service.metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.predictions.start()
        service.champion.start()
        yield
        await anyio.to_thread.run_sync(_stop, service, queue)

    app = FastAPIOffline(
        redoc_url=None,
        title=f"Lakeloop: {service.loop}",
        version=lakeloop.__version__,
        description=_description(service),
        lifespan=lifespan,
    )
    install(app)
    _add_predict(app, service, queue)
    _add_health(app, service)
    paths = frozenset(route.path for route in app.routes if hasattr(route, "path"))
    app.add_middleware(BodyLimit, limits=service.limits)
    app.add_middleware(Timing, metrics=service.metrics, paths=paths)
    return app


def _stop(service: Service, queue: InferenceQueue) -> None:
    service.champion.stop()
    queue.close()
    service.predictions.stop(service.limits.drain_seconds)


def _description(service: Service) -> str:
    limits = service.limits
    return (
        f"Classifies texts with the champion of the loop `{service.loop}`. A request may have {limits.texts} "
        f"texts of {limits.characters} characters and {limits.body_bytes} bytes. Answers are logged to the "
        "lake. Every error has the same shape."
    )


def _errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorBody} for code in codes}


def _add_predict(app: FastAPI, service: Service, queue: InferenceQueue) -> None:
    codes = _errors(408, 413, 415, 422, 503)

    @app.post("/v1/predict", tags=["model"], responses=codes, summary="Classify texts")
    async def predict(request: PredictRequest) -> PredictResponse:
        _require_fits(request.texts, service.limits)
        request_id = request.request_id or uuid.uuid4().hex
        deadline = time.monotonic() + service.limits.answer_seconds

        def work() -> PredictResponse:
            return _answer(service, request_id, request.texts, deadline)

        response = await queue.run(work, service.limits.answer_seconds)
        service.metrics.texts.observe(len(request.texts))
        return response


def _answer(service: Service, request_id: str, texts: Sequence[str], deadline: float) -> PredictResponse:
    started = deadline - service.limits.answer_seconds
    # Read once: a champion that changes meanwhile must not answer half of a request.
    model = _require_model(service)
    predictions = model.predictor.predict(texts)
    done = time.monotonic()
    # After the deadline the client has its 503 already; an answer nobody got is not logged.
    if texts and done < deadline:
        service.predictions.record(
            Answered(
                request_id=request_id,
                at=now(),
                model_version=model.release.version,
                texts=texts,
                predictions=predictions,
                latency_ms=(done - started) * 1000,
            )
        )
    return PredictResponse(
        model_version=model.release.version,
        predictions=[_public(prediction) for prediction in predictions],
        request_id=request_id,
    )


def _public(prediction: Prediction) -> Answer:
    return Answer(label=prediction.label, score=prediction.score, scores=prediction.scores)


def _require_fits(texts: Sequence[str], limits: Limits) -> None:
    if len(texts) > limits.texts:
        raise ProblemError(
            413,
            "too_many_texts",
            "too many texts in one request; send them in several",
            expected=f"at most {limits.texts} texts",
            found=f"{len(texts)} texts",
        )
    for index, text in enumerate(texts):
        if len(text) > limits.characters:
            raise ProblemError(
                413,
                "text_too_long",
                f"body.texts.{index} is too long; the model reads only its beginning, so cut it",
                expected=f"at most {limits.characters} characters",
                found=f"{len(text)} characters",
            )


def _require_model(service: Service) -> ServedModel:
    if model := service.champion.current:
        return model
    if refused := service.champion.refused:
        raise unavailable(
            "model_refused",
            f"the champion of {service.loop} was refused; release another: lakeloop release {service.loop}",
            expected=f"{refused.version}, digest {refused.digest}",
            found=refused.reason,
            retry_seconds=_RETRY_SECONDS,
        )
    if error := service.champion.postponed:
        raise unavailable(
            "model_unavailable",
            f"the champion of {service.loop} cannot be loaded now; it is tried again",
            found=error,
            retry_seconds=_RETRY_SECONDS,
        )
    raise unavailable(
        "no_model",
        f"{service.loop} has no champion yet; train and release one: lakeloop run {service.loop}",
        retry_seconds=_RETRY_SECONDS,
    )


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get(
        "/healthz", tags=["operations"], summary="Does the process live?", response_model_exclude_none=True
    )
    async def healthz() -> Health:
        return Health(status="alive")

    @app.get("/readyz", tags=["operations"], responses=_errors(503), summary="Is a champion loaded and warm?")
    async def readyz() -> Health:
        return Health(status="ready", model_version=_require_model(service).release.version)

    @app.get("/v1/model", tags=["model"], responses=_errors(503), summary="Which model answers?")
    async def model() -> ModelInfo:
        return _model_info(service)

    @app.get("/metrics", tags=["operations"], summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _model_info(service: Service) -> ModelInfo:
    model = _require_model(service)
    description = model.predictor.description
    refused = service.champion.refused
    return ModelInfo(
        loop=service.loop,
        version=model.release.version,
        digest=model.release.digest,
        candidate=description.candidate,
        method=description.method,
        labels=list(description.labels),
        max_tokens=description.max_tokens,
        dataset_digest=description.dataset_digest,
        scores=dict(model.release.scores),
        loaded_at=model.loaded_at,
        refused=refused
        and RefusedModel(
            version=refused.version, digest=refused.digest, reason=refused.reason, at=refused.at
        ),
    )
