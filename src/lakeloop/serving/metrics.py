"""The model server's Prometheus metrics, in one registry per app, and the middleware that times requests.

Several processes of one server count together, by files in a folder that `SHARED` names (the multiprocess
mode of prometheus_client): whichever is asked tells of all of them.

Only counting is here. Labels are bounded: paths that do not exist share one, texts and ids are never labels.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeloop.inference.devices import Device
from lakeloop.serving.guard.problems import CLIENT_GONE

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)
_LOOP = ("loop",)
_ROLE = (*_LOOP, "role")
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus_client finds that folder, when it is imported."""

Logged = Literal["predictions", "observations"]
"""The tables that a server writes rows of."""
Role = Literal["champion", "canary", "shadow"]
"""In which a version is asked. Labels name the role and not the version: roles are three, versions many."""


class ServerMetrics:
    """All metrics of one server process; those of one of its loops are `of_loop`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = self._counter("requests", "Requests answered.", ("method", "path", "code"))
        self.seconds = Histogram(
            "lakeloop_request_seconds",
            "Time from a request's head to the last byte of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.pending = self._gauge("requests_pending", "Requests that a model works on or that wait.")
        self.connections = self._gauge("connections", "Connections that are open.")
        self._cut = self._counter("connections_cut", "Connections that this server ended.", ("why",))
        self._by_key = self._counter("key_requests", "Requests by the name of the key they showed.", ("key",))
        self.texts = Histogram(
            "lakeloop_request_texts",
            "Texts in an answered request.",
            _LOOP,
            buckets=_TEXTS,
            registry=registry,
        )
        self.model = Gauge(
            "lakeloop_model_info",
            "1 for the version in use.",
            (*_LOOP, "version", "digest"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.device = Gauge(
            "lakeloop_model_device_info",
            "1 for the device on which the version in use runs.",
            (*_LOOP, "device"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.challenger = Gauge(
            "lakeloop_challenger_info",
            "1 for the version beside the champion, in its phase.",
            (*_LOOP, "version", "digest", "phase"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.roles = _RoleCounts(registry)
        self.load_failures = self._counter(
            "model_load_failures",
            "New versions not taken into use: refused for good, or unreachable for now.",
            (*_LOOP, "kind"),
        )
        self.logs = {table: _TableMetrics(table, registry) for table in get_args(Logged)}

    def text(self) -> bytes:
        """All of it as Prometheus reads it."""
        if SHARED not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def _gauge(self, what: str, help_text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(
            f"lakeloop_{what}", help_text, labels, registry=self.registry, multiprocess_mode="livesum"
        )

    def _counter(self, what: str, help_text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"lakeloop_{what}", help_text, labels, registry=self.registry)

    def count_key(self, name: str) -> None:
        """One more request came with the key of this name."""
        self._by_key.labels(name).inc()

    def count_cut(self, why: str) -> None:
        """One more connection was ended by this server, and `why`."""
        self._cut.labels(why).inc()

    def of_loop(self, loop: str) -> LoopMetrics:
        """The metrics of the loop called `loop`."""
        return LoopMetrics(self, loop)


class _RoleCounts:
    """What is asked of the versions of all loops, role by role."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "lakeloop_role_requests",
            "Requests to a version in its role: answered, failed, or not asked of a shadow for want of time.",
            (*_LOOP, "role", "outcome"),
            registry=registry,
        )
        self.texts = Counter(
            "lakeloop_role_texts", "Texts that a version answered in its role.", _ROLE, registry=registry
        )
        self.outside_length = Counter(
            "lakeloop_texts_outside_length",
            "Texts that were answered and are shorter or longer than clean.length lets rows be.",
            _LOOP,
            registry=registry,
        )
        self.seconds = Histogram(
            "lakeloop_role_seconds",
            "Time in which a version answered a request, with its wait for a turn.",
            _ROLE,
            buckets=_SECONDS,
            registry=registry,
        )


class _TableMetrics:
    """What becomes of the rows that a server has for one table of its loops."""

    def __init__(self, table: str, registry: CollectorRegistry) -> None:
        self.table = table
        named = f"lakeloop_{table}"
        self.backlog = Gauge(
            f"{named}_backlog_rows",
            f"Rows of {table} not in the lake yet.",
            _LOOP,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.published = Counter(
            f"{named}_published", f"Rows of {table} written to the lake.", _LOOP, registry=registry
        )
        self.dropped = Counter(f"{named}_dropped", f"Rows of {table} not logged.", _LOOP, registry=registry)
        self.failures = Counter(
            f"{named}_publish_failures", "Batches the lake did not take.", _LOOP, registry=registry
        )


class LogMetrics:
    """What becomes of the rows that a server has for one table of one loop."""

    def __init__(self, metrics: _TableMetrics, loop: str) -> None:
        self.published = metrics.published.labels(loop)
        self.dropped = metrics.dropped.labels(loop)
        self.failures = metrics.failures.labels(loop)
        self.backlog = metrics.backlog.labels(loop)


class RoleMetrics:
    """What one loop asks of the version in one role, and what comes of it."""

    def __init__(self, metrics: ServerMetrics, loop: str, role: Role) -> None:
        self._answered = metrics.roles.requests.labels(loop, role, "answered")
        self.failed = metrics.roles.requests.labels(loop, role, "failed")
        self.dropped = metrics.roles.requests.labels(loop, role, "dropped")
        self._texts = metrics.roles.texts.labels(loop, role)
        self._seconds = metrics.roles.seconds.labels(loop, role)

    def answered(self, texts: int, seconds: float) -> None:
        """One more request, of so many texts, was answered in so many seconds."""
        self._answered.inc()
        self._texts.inc(texts)
        self._seconds.observe(seconds)


class LoopMetrics:
    """The metrics of one loop; all of them are there from the start, with the value 0."""

    def __init__(self, metrics: ServerMetrics, loop: str) -> None:
        self.texts = metrics.texts.labels(loop)
        self.outside_length = metrics.roles.outside_length.labels(loop)
        self.refused = metrics.load_failures.labels(loop, "refused")
        self.postponed = metrics.load_failures.labels(loop, "postponed")
        self.logs: dict[Logged, LogMetrics] = {
            table: LogMetrics(metrics.logs[table], loop) for table in get_args(Logged)
        }
        self.roles: dict[Role, RoleMetrics] = {
            role: RoleMetrics(metrics, loop, role) for role in get_args(Role)
        }
        self._model = metrics.model
        self._device = metrics.device
        self._challenger = metrics.challenger
        self._loop = loop
        self._used: tuple[str, str] | None = None
        self._tried: tuple[str, str, str] | None = None

    def use_model(self, version: str, digest: str, device: str) -> None:
        """Show this version as the one in use, in place of the one before, and on which device."""
        if self._used:
            self._model.labels(self._loop, *self._used).set(0)  # what is in a shared folder stays there
            self._model.remove(self._loop, *self._used)
        self._used = (version, digest)
        self._model.labels(self._loop, version, digest).set(1)
        for each in get_args(Device):
            self._device.labels(self._loop, each).set(each == device)

    def use_challenger(self, tried: tuple[str, str, str] | None) -> None:
        """Show version, digest and phase of the one beside the champion, in place of the one before."""
        if self._tried:
            self._challenger.labels(self._loop, *self._tried).set(0)
            self._challenger.remove(self._loop, *self._tried)
        self._tried = tried
        if tried:
            self._challenger.labels(self._loop, *tried).set(1)


class Timing:
    """ASGI middleware: counts and times every HTTP request, also those that other middleware refuses.

    `is_path` says which paths have a count of their own; the others share one.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, is_path: Callable[[str], bool]) -> None:
        self._app = app
        self._metrics = metrics
        self._is_path = is_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        code = 0

        async def watched(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except BaseException:
            code = code or 500
            raise
        finally:
            path = scope["path"] if self._is_path(scope["path"]) else "other"
            method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
            self._metrics.requests.labels(method, path, str(code or CLIENT_GONE)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - started)
