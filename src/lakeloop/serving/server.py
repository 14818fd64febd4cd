"""One model server process: the parts of the service wired to a lake and to a socket.

This is the composition root of `serving`: the other modules know neither settings nor the registry. One
process serves one loop; more processes of the same loop may share a home and a lake.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pyarrow as pa
import uvicorn

from lakeloop.errors import ConfigurationError, ServiceError
from lakeloop.lake import Lake
from lakeloop.lake.tables import PREDICTIONS
from lakeloop.registry.registry import Registry
from lakeloop.serving.app import Service, create_app
from lakeloop.serving.champion import Champion, Release
from lakeloop.serving.limits import Limits
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.predictions import PredictionLog
from lakeloop.serving.spool import Spool
from lakeloop.settings import Settings, read_settings
from lakeloop.stages.session import StageContext

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BACKLOG = 1024


class RegistrySource:
    """Champions from the registry of a lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._registry = Registry(lake)

    def champion(self) -> Release | None:
        version = self._registry.champion()
        return Release(version.name, version.digest, version.card.metrics) if version else None

    def fetch(self, release: Release, folder: Path) -> None:
        self._lake.files.fetch(f"models/{release.version}", folder)


def open_service(context: StageContext, limits: Limits) -> Service:
    """The service of a loop, not started: its champion from the registry, its predictions to the lake."""
    metrics = ServerMetrics()
    home = context.settings.home / "serving" / context.loop.name
    champion = Champion(
        RegistrySource(context.lake),
        home / "models",
        metrics,
        threads=limits.threads,
        poll_seconds=limits.poll_seconds,
    )

    def publish(rows: pa.Table, batch_id: str) -> None:
        context.lake.append_once("predictions", rows, batch_id=batch_id)

    spool = Spool(home / "spool", batch_rows=limits.batch_rows, backlog_bytes=limits.backlog_bytes)
    predictions = PredictionLog(spool, publish, PREDICTIONS, metrics, flush_seconds=limits.flush_seconds)
    return Service(context.loop.name, champion, predictions, limits, metrics)


def serve(loop: str, host: str = "127.0.0.1", port: int = 8100, *, settings: Settings | None = None) -> None:
    """Serve the champion of `loop` until SIGTERM or Ctrl-C; then finish open requests and flush the log.

    There is no authentication: an address other than loopback belongs behind a proxy that has it. Port 0
    takes a free one; the log says which.

    Raises:
        ConfigurationError: the loop file or a setting is wrong, or the address cannot be used.
        ServiceError: the server could not start.
    """
    limits = read_settings(Limits)
    context = StageContext.open(loop, settings)
    if host not in _LOOPBACK:
        log.warning("listening on %s: everybody who reaches it can ask and read /metrics", host)
    listener = _listen(host, port)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}"
    log.info("serving %s at %s (API docs: %s/docs)", loop, address, address)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(open_service(context, limits)),
            log_config=None,
            access_log=False,  # /metrics counts; a line a request would cost more than the answer
            server_header=False,
            timeout_graceful_shutdown=round(limits.drain_seconds),
        )
    )
    server.run(sockets=[listener])
    if not server.started:
        raise ServiceError("the model server could not start", where=address, remedy="see the log above")


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
