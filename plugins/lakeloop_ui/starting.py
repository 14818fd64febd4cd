"""Starting a loop from the page: Airflow's own REST API, asked within this process and as the page's user.

No right is decided here. The requests carry the credentials that the user's request came with, so Airflow
allows and refuses what it would at its own pages, and logs the user as the one who did it.
"""

from __future__ import annotations

import httpx
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from anyio import from_thread
from fastapi import FastAPI, Request

from lakeloop.local.airflow_api import AirflowApi

_SECONDS = 60.0


def airflow_of(request: Request) -> AirflowApi:
    """A client of the Airflow that serves this page, with the rights of the user who sent `request`.

    To be used in a route that is no coroutine: the client waits for the answers.
    """
    host = request.headers.get("host", "localhost")
    session = httpx.Client(
        base_url=f"http://{host}",
        transport=_InProcess(_airflow()),
        headers=_credentials(request),
        timeout=_SECONDS,
    )
    return AirflowApi(f"http://{host}", session)


def _airflow() -> FastAPI:
    """The application that this API server runs."""
    from airflow.api_fastapi.main import app

    return app


def _credentials(request: Request) -> dict[str, str]:
    """The token of the request, which Airflow takes from a header first and from its cookie else."""
    if given := request.headers.get("authorization"):
        return {"Authorization": given}
    return {"Authorization": f"Bearer {request.cookies.get(COOKIE_NAME_JWT_TOKEN, '')}"}


class _InProcess(httpx.BaseTransport):
    """Hands requests to an application on the event loop that the calling thread was started from."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return from_thread.run(self._answer, request)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        # The body as it was sent (it may be compressed): the client decodes it by its headers.
        body = b"".join([part async for part in answer.stream])  # type: ignore[union-attr]
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(body))
