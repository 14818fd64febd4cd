"""The short way of a request to predict: what is right is read and written by pydantic alone.

FastAPI makes Python objects of a body before they are checked, and solves the parameters of a function anew
for each request; that takes as long as the rest of its way through the server. What is wrong in whatever way
goes FastAPI's way, which says what it is; so does the description of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import BackgroundTasks, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from lakeloop.serving.messages import PredictRequest, PredictResponse

_JSON = "application/json"


class PredictRoute(APIRoute):
    """A route to a function with `request`, `http`, `after` and what is in its path."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual, predict = super().get_route_handler(), self.endpoint

        async def handle(http: Request) -> Response:
            request = await _parsed(http)
            if request is None:
                return await usual(http)
            after = BackgroundTasks()
            found: PredictResponse = await predict(
                request=request, http=http, after=after, **http.path_params
            )
            return Response(found.model_dump_json(), media_type=_JSON, background=after)

        return handle


async def _parsed(http: Request) -> PredictRequest | None:
    """The body, where it is right."""
    if http.headers.get("content-type") != _JSON:
        return None
    try:
        return PredictRequest.model_validate_json(await http.body())
    except ValidationError:
        return None
