"""One model server process: the parts of the service wired to lakes and to a socket.

This is the composition root of `serving`: the other modules know neither settings nor the registry. One
process serves one or more loops; more processes may share a home and a lake.
"""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import uvicorn
from fastapi import FastAPI

from lakeloop.errors import ConfigurationError, LakeloopError, ServiceError
from lakeloop.hosts import allowed_hosts
from lakeloop.inference.devices import CPU, Wanted, chosen, providers_of_onnx
from lakeloop.ports import SERVER_PORT
from lakeloop.serving.app import Service, create_app
from lakeloop.serving.guard.connections import bounded
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.keys import VARIABLE, Keys, read_keys
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.opening import LaterLoops, open_loop
from lakeloop.serving.watcher import Watcher
from lakeloop.settings import Settings, get_settings, protect_home, read_settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_named, loop_names

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BACKLOG = 128
"""Connections that the system holds until they are taken; they are taken so many at a time."""
_OTHER_FILES = 256 + 2 * _BACKLOG
"""Files that a server may have open besides its connections: lakes, spools, models, those not counted yet."""


def open_service(
    loops: Sequence[LoopSpec], settings: Settings, limits: Limits, *, later: bool = False
) -> Service:
    """The service of some loops, not started: champions from their registries, predictions to their lakes.

    A loop whose lake cannot be opened is left out, with an error in the log, as long as another one can. With
    `later` it is tried again, and loops whose files come while the service runs are served, too.

    Raises:
        LakeloopError: none of the lakes can be opened; says why the first cannot.
    """
    metrics = ServerMetrics()
    opened = _each(loops, lambda loop: open_loop(loop, settings, limits, metrics.of_loop(loop.name)))
    served = {each.name: each for each, _ in opened}
    more = LaterLoops(served, settings, limits, metrics).look if later else None
    watcher = Watcher([watch for _, watch in opened], poll_seconds=limits.poll_seconds, more=more)
    return Service(served, watcher, limits, metrics)


def serve(
    loops: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = SERVER_PORT,
    *,
    settings: Settings | None = None,
    processes: int | None = None,
    device: Wanted | None = None,
    prepare: Callable[[], object] | None = None,
) -> None:
    """Serve the champions of `loops` until SIGTERM or Ctrl-C; then finish open requests and flush the logs.

    Without names all loops are served whose files can be read, also those that come or are mended later; the
    file of a loop that is served is read once. Without keys (`LAKELOOP_SERVE_KEYS_FILE`) an address other
    than loopback belongs behind a proxy that authenticates. Port 0 takes a free port; the log says which.
    With several `processes` (default: as the limits have it, as of `device`) `prepare`, which has to be
    picklable, is called in each of them first, to set up its logging.

    Raises:
        ConfigurationError: a loop file or a setting is wrong, there is no loop, or the address is taken.
        ServiceError: the server could not start, or there is no lake that can be opened.
    """
    limits, settings = read_settings(Limits), settings or get_settings()
    limits = limits.model_copy(update={"device": device or limits.device})
    specs, keys = _specs(loops, settings), _keys(settings, host)
    _require_device(limits.device, specs)
    _require_files(limits)
    listener = _listen(host, port)
    protect_home(settings)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}"
    one = _Process(listener, tuple(loops), host, address, settings, limits, keys)
    if (processes or limits.processes) == 1:
        service = open_service(specs, settings, limits, later=not loops)
        log.info("serving %s at %s (a page to try it is there, too)", ", ".join(service.loops), address)
        one.run(service)
        return
    from lakeloop.serving.processes import supervise

    known = ", ".join(spec.name for spec in specs)
    log.info("serving %s at %s (a page to try it is there, too)", known, address)
    supervise(replace(one, shared=True, prepare=prepare), processes or limits.processes, limits.drain_seconds)


@dataclass(frozen=True)
class _Process:
    """What one server process does; where several `shared` the listener, it is called in each of them."""

    listener: socket.socket
    loops: tuple[str, ...]
    host: str
    address: str
    settings: Settings
    limits: Limits
    keys: Keys | None
    shared: bool = False
    prepare: Callable[[], object] | None = None

    def __call__(self, started: Callable[[], None]) -> None:
        """Open the service and run it, as one of several."""
        if self.prepare is not None:
            self.prepare()
        _require_files(self.limits)
        protect_home(self.settings)
        try:
            specs = _specs(self.loops, self.settings)
            service = open_service(specs, self.settings, self.limits, later=not self.loops)
        except LakeloopError as error:
            log.error("%s", error)  # noqa: TRY400 - it says what is wrong
            raise SystemExit(error.exit_code) from None
        self.run(service, started)

    def run(self, service: Service, started: Callable[[], None] = lambda: None) -> None:
        """Answer until SIGTERM or SIGINT.

        Raises:
            ServiceError: the server could not start.
        """
        hosts = allowed_hosts(self.settings, self.host)
        app = create_app(service, hosts, self.keys, models_first=self.shared)
        config = _config(app, service, backlog=1 if self.shared else _BACKLOG)

        def on_start() -> None:
            if self.shared:
                self.listener.listen(_BACKLOG)  # one connection is taken at a time, but so many may wait
            started()

        server = _Server(config, on_start)
        server.run(sockets=[self.listener])
        if not server.started:
            raise ServiceError(
                "the model server could not start", where=self.address, remedy="see the log above"
            )


class _Server(uvicorn.Server):
    """uvicorn, which says when it takes connections."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()


def _keys(settings: Settings, host: str) -> Keys | None:
    if settings.serve_keys_file:
        return read_keys(settings.serve_keys_file)
    if host not in _LOOPBACK:
        log.warning(
            "listening on %s without keys: everybody who reaches it can ask; %s gives it some", host, VARIABLE
        )
    return None


def _config(app: FastAPI, service: Service, *, backlog: int) -> uvicorn.Config:
    limits = service.limits
    return uvicorn.Config(
        app,
        http=bounded(limits, service.metrics),
        ws="none",
        backlog=backlog,
        log_config=None,
        access_log=False,  # /metrics counts; a line a request would cost more than the answer
        server_header=False,
        proxy_headers=False,  # who asks, and by which scheme, decides nothing here
        timeout_keep_alive=limits.idle_seconds,  # type: ignore[arg-type]  # only handed to call_later
        timeout_graceful_shutdown=round(limits.drain_seconds),
    )


def _require_device(wanted: Wanted, specs: Sequence[LoopSpec]) -> None:
    """Say it now where there is no such device, not of each champion; of models that write torch knows."""
    if wanted != CPU and not all(spec.task.writes for spec in specs):
        chosen(wanted, providers_of_onnx())


def _require_files(limits: Limits) -> None:
    """Let this process open as many files as it may have connections: without one it can accept nobody."""
    wanted = limits.connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted:
            raise ConfigurationError(
                "this process may not open so many files",
                where="LAKELOOP_SERVE_CONNECTIONS",
                expected=f"at most {most - _OTHER_FILES} connections, with {most} files",
                found=f"{limits.connections} connections",
                remedy="set it lower, or raise the limit: ulimit -n",
            )


def _specs(names: Sequence[str], settings: Settings) -> list[LoopSpec]:
    """The loops called `names`, or all whose files can be read."""
    if names:
        return [load_named(name, settings) for name in dict.fromkeys(names)]
    known = loop_names(settings)
    if not known:
        raise ConfigurationError(
            "there is no loop to serve",
            where=str(settings.loops),
            expected="a folder with a loop file",
            remedy="make one: lakeloop new NAME",
        )
    return _each(known, lambda name: load_named(name, settings))


def _each(items: Sequence[T], work: Callable[[T], R]) -> list[R]:
    """What `work` makes of the items for which it works: one loop's trouble does not stop the others.

    Raises:
        LakeloopError: it works for none; the error of the first.
    """
    made: list[R] = []
    errors: list[LakeloopError] = []
    for item in items:
        try:
            made.append(work(item))
        except LakeloopError as error:
            errors.append(error)
    if errors and not made:
        raise errors[0]
    for left_out in errors:
        log.error("a loop is left out: %s", left_out)
    return made


def _listen(host: str, port: int) -> socket.socket:
    # Bound here and not by uvicorn, which ends the process when it cannot.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            "cannot listen there",
            where=f"{host}:{port}",
            found=str(error),
            remedy="stop what listens there, or choose another address with --host and --port",
        ) from error
