"""The model server's HTTP interface: its routes, and the order in which its parts start and stop.

Everything a route needs is handed to `create_app`; where champions come from and predictions go to is decided
by `server`. Answers to the same text differ only with the model version, which every answer names.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, BackgroundTasks, FastAPI, Path, Request, Response
from fastapi.responses import HTMLResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST

import lakeloop
from lakeloop.hosts import HostGuard, Hosts
from lakeloop.plural import counted
from lakeloop.serving import state
from lakeloop.serving.asking import Asking
from lakeloop.serving.exchange import Exchange, ServedLoop
from lakeloop.serving.guard.bodies import BodyLimit
from lakeloop.serving.guard.gone import unless_gone
from lakeloop.serving.guard.head import HeadAsGet, HeadLimit
from lakeloop.serving.guard.identity import RequestIds, use_id
from lakeloop.serving.guard.keyed import KeyGuard
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import ErrorBody, ProblemError, install, named_client
from lakeloop.serving.keys import Keys
from lakeloop.serving.messages import (
    Health,
    Loops,
    ModelInfo,
    PredictRequest,
    PredictResponse,
)
from lakeloop.serving.metrics import ServerMetrics, Timing
from lakeloop.serving.openapi import SHORT_FORMS, describe
from lakeloop.serving.page import start_page
from lakeloop.serving.route import PredictRoute
from lakeloop.serving.router import named, only
from lakeloop.serving.watcher import Watcher
from lakeloop.tasks.reading import Instance

_LOOK_SECONDS = 0.01
_LOOP = "/v1/loops/{loop}"


@dataclass(frozen=True)
class Service:
    """The parts of one server process."""

    loops: Mapping[str, ServedLoop]
    """By name; at least one. More may come while the server runs, none goes."""
    watcher: Watcher
    limits: Limits
    metrics: ServerMetrics


def create_app(
    service: Service, hosts: Hosts | None = None, keys: Keys | None = None, *, models_first: bool = False
) -> FastAPI:
    """The ASGI app of a model server; starts and stops the parts of `service` with itself.

    Without `hosts` it answers under every name, without `keys` to everybody. With `models_first` it has not
    started before it has looked for all models, or `answer_seconds` have passed.
    """
    asking = Asking(service.limits, service.metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for served in service.loops.values():
            for log in served.logs:
                log.start()
        service.watcher.start()
        if models_first:
            await _looked(service)
        yield
        await anyio.to_thread.run_sync(_stop, service, asking)

    app = FastAPIOffline(
        redoc_url=None,
        redirect_slashes=False,  # an answer with nothing in it, which few clients follow
        title="Lakeloop",
        version=lakeloop.__version__,
        lifespan=lifespan,
    )
    install(app)
    _add_predict(app, service, asking)
    _add_models(app, service)
    _add_operations(app, service)
    _add_start_page(app, service)
    _guard(app, service, hosts, keys)
    app.openapi = _openapi_of(app, service, keyed=keys is not None)  # type: ignore[method-assign]  # FastAPI's way to do this
    return app


async def _looked(service: Service) -> None:
    deadline = time.monotonic() + service.limits.answer_seconds
    while time.monotonic() < deadline:
        if all(served.slots.champion.looked for served in service.loops.values()):
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _guard(app: FastAPI, service: Service, hosts: Hosts | None, keys: Keys | None) -> None:
    """Put what a request has to pass before the app; the last is asked first."""
    app.add_middleware(BodyLimit, limits=service.limits)
    app.add_middleware(HeadLimit, limits=service.limits)
    app.add_middleware(HeadAsGet)
    if keys is not None:
        app.add_middleware(KeyGuard, keys=keys, metrics=service.metrics)
    if hosts is not None:
        app.add_middleware(HostGuard, hosts=hosts)
    app.add_middleware(Timing, metrics=service.metrics, is_path=_is_path(app, service))
    app.add_middleware(RequestIds)


def _openapi_of(app: FastAPI, service: Service, *, keyed: bool) -> Callable[[], dict[str, Any]]:
    """The document of the API, made once for each list of loops: that takes a tenth of a second."""
    described: dict[tuple[str, ...], dict[str, Any]] = {}

    def openapi() -> dict[str, Any]:
        names = tuple(service.loops)
        if names not in described:
            described.clear()
            described[names] = describe(app, service.loops, service.limits, keyed=keyed)
        return described[names]

    return openapi


def _stop(service: Service, asking: Asking) -> None:
    service.watcher.stop()
    asking.close(service.limits.drain_seconds)
    logs = [log for served in service.loops.values() for log in served.logs]
    for log in logs:
        log.begin_stop()
    deadline = time.monotonic() + service.limits.drain_seconds
    for log in logs:
        log.stop(max(0.0, deadline - time.monotonic()))


def _is_path(app: FastAPI, service: Service) -> Callable[[str], bool]:
    """Whether a path is one that there is, of a loop that is served."""
    routes = [route.path for route in app.routes if hasattr(route, "path")]
    fixed = frozenset(path for path in routes if "{loop}" not in path)
    of_loops = [path.split("{loop}") for path in routes if "{loop}" in path]

    def is_path(path: str) -> bool:
        if path in fixed:
            return True
        names = (
            path[len(before) : -len(after)]
            for before, after in of_loops
            if path.startswith(before) and path.endswith(after)
        )
        return any(name in service.loops for name in names)

    return is_path


_IN_PATH: Any = Path(description="Name of the loop.")
"""The part of a path that names a loop; the API page offers those that are served."""


def _errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: {"model": ErrorBody} for code in codes}


def _add_predict(app: FastAPI, service: Service, asking: Asking) -> None:
    responses = _errors(400, 404, 408, 409, 413, 415, 422, 503)

    async def ask(
        served: ServedLoop, request: PredictRequest, http: Request, after: BackgroundTasks
    ) -> PredictResponse:
        started, limits = time.monotonic(), service.limits
        rows = request.rows
        _require_fits(rows, limits)
        exchange = Exchange(
            served,
            use_id(request.request_id),
            rows,
            started,
            limits.answer_seconds,
            request.top_k or limits.top_k,
            named_client(http.headers),
        )
        response = await unless_gone(http.receive, asking.ask(exchange))
        served.metrics.texts.observe(len(rows))
        after.add_task(mirror, exchange)
        return response

    async def mirror(exchange: Exchange) -> None:  # a coroutine, so that it needs no thread
        asking.mirror(exchange)

    router = APIRouter(route_class=PredictRoute, tags=["model"])

    @router.post(f"{_LOOP}/predict", responses=responses, summary="Answer texts")
    async def predict(
        request: PredictRequest, http: Request, after: BackgroundTasks, loop: str = _IN_PATH
    ) -> PredictResponse:
        return await ask(named(service.loops, loop), request, http, after)

    @router.post(SHORT_FORMS[0], responses=responses, summary="Answer texts: the only loop")
    async def predict_only(request: PredictRequest, http: Request, after: BackgroundTasks) -> PredictResponse:
        return await ask(only(service.loops, "predict"), request, http, after)

    app.include_router(router)


def _require_fits(rows: Sequence[Instance], limits: Limits) -> None:
    if len(rows) > limits.texts:
        raise ProblemError(
            413,
            "too_many_texts",
            "too many texts in one request; send them in several",
            expected=f"at most {counted(limits.texts, 'text')}",
            found=counted(len(rows), "text"),
        )
    for index, row in enumerate(rows):
        longest = max(map(len, row.words))
        if longest > limits.characters:
            raise ProblemError(
                413,
                "text_too_long",
                f"row {index} of the body is too long; the model reads only its beginning, so cut it",
                expected=f"at most {limits.characters} characters",
                found=f"{longest} characters",
            )


def _add_models(app: FastAPI, service: Service) -> None:

    @app.get("/v1/loops", tags=["model"], summary="Which loops are served?", response_model_exclude_none=True)
    async def loops() -> Loops:
        return Loops(loops=[state.loop_state(served) for served in list(service.loops.values())])

    @app.get(f"{_LOOP}/model", tags=["model"], responses=_errors(404, 503), summary="Which model answers?")
    async def model(loop: str = _IN_PATH) -> ModelInfo:
        return state.model_info(named(service.loops, loop))

    @app.get(
        SHORT_FORMS[1],
        tags=["model"],
        responses=_errors(409, 503),
        summary="Which model answers: the only loop",
    )
    async def model_only() -> ModelInfo:
        return state.model_info(only(service.loops, "model"))


def _add_start_page(app: FastAPI, service: Service) -> None:
    @app.get("/", include_in_schema=False)
    async def start() -> HTMLResponse:
        html, headers = start_page(service.loops)
        return HTMLResponse(html, headers=headers)


def _add_operations(app: FastAPI, service: Service) -> None:
    @app.get(
        "/healthz", tags=["operations"], summary="Does the process live?", response_model_exclude_none=True
    )
    async def healthz() -> Health:
        return Health(status="alive")

    @app.get(
        "/readyz", tags=["operations"], responses=_errors(503), summary="Is a model loaded and warm?",
        description="Yes once every loop was looked for and one at least answers: /v1/loops says which.",
        response_model_exclude_none=True,
    )  # fmt: skip
    async def readyz() -> Health:
        return state.readiness(tuple(service.loops.values()))

    @app.get("/metrics", tags=["operations"], summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
