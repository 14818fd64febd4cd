"""Every error the model server answers with has one shape, made here: problem details (RFC 9457).

Beside the members of the standard there is `error`, with a code that stays the same, and the id of the
request. Which error a request gets is decided where the fault is noticed. Texts of a request never go into a
log from here; the client gets at most a short piece of its own value back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lakeloop.serving.guard.identity import REQUEST_ID, client_of, current_id
from lakeloop.serving.log.keeping import kept_id

log = logging.getLogger(__name__)

_SHOWN_ERRORS = 5
_SHOWN_CHARACTERS = 60
_REQUEST = '{"texts": ["...", ...], "request_id": "..." (optional)}'

_FIELDS = {
    "top_k": "top_k: a whole number, 1 or more; without it all",
    "request_id": "request_id: 1 to 128 characters of printable ASCII without spaces",
    "instances": '{"instances": [{"text": "...", "text_pair": "...", "features": {...}}, ...]}',
}
"""Field of a request -> what it expects; of others the whole request is told."""

_TYPE = "urn:lakeloop:problem:"
CLIENT_GONE = 499
"""nginx's code for a client that went away before its answer."""
TIMEOUT = "timeout"
"""The code of a request that was not answered in its time."""
PROBLEM_JSON = "application/problem+json"

NOTHING_ASKED, ASKED_TWICE = "nothing_asked", "asked_twice"
_SAID = {
    "dict_type": "is not a JSON object",
    "extra_forbidden": "is no field of a request",
    "list_type": "is not a list",
    "missing": "is missing",
    NOTHING_ASKED: "has neither texts nor instances",
    ASKED_TWICE: "has both texts and instances",
    "model_attributes_type": "is not a JSON object",
    "string_pattern_mismatch": "is not 1 to 128 characters of printable ASCII without spaces",
    "string_type": "is not a text in quotes",
}
"""pydantic's name of a fault -> what a client is told of it."""


class ErrorDetail(BaseModel):
    """What is wrong, for programs and for people."""

    code: str
    """For programs: a short name that stays the same."""
    message: str
    """For people: what is wrong and what to do."""
    expected: str | None = None
    found: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is not 2xx: problem details (RFC 9457)."""

    type: str = Field(description="The kind of problem, by its code.", examples=[f"{_TYPE}no_model"])
    title: str = Field(description="What the status means.", examples=["Service Unavailable"])
    status: int = Field(description="The HTTP status.", examples=[503])
    detail: str = Field(description="For people: what is wrong and what to do.")
    request_id: str | None = Field(default=None, description="As in the header X-Request-ID.")
    error: ErrorDetail = Field(description="The same for programs, with what was expected and found.")


class ProblemError(Exception):
    """A request that is not answered as asked, and why."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        headers: Mapping[str, str] | None = None,
        repeated: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`repeated`: headers that come more than once, each a line of its own."""
        super().__init__(message)
        self.status = status
        self.detail = ErrorDetail(code=code, message=message, expected=expected, found=found)
        self.headers = dict(headers or {})
        self.repeated = tuple(repeated)

    def response(self) -> JSONResponse:
        """The answer to the client, in the one shape."""
        identity = current_id()
        body = ErrorBody(
            type=_TYPE + self.detail.code,
            title=_phrase(self.status),
            status=self.status,
            detail=self.detail.message,
            request_id=identity or None,
            error=self.detail,
        )
        headers = {**self.headers, **({REQUEST_ID: identity} if identity else {})}
        content = body.model_dump(exclude_none=True)
        response = JSONResponse(content, self.status, headers=headers, media_type=PROBLEM_JSON)
        for name, value in self.repeated:
            response.headers.append(name, value)
        return response


def _phrase(status: int) -> str:
    return "Client Closed Request" if status == CLIENT_GONE else HTTPStatus(status).phrase


def unavailable(
    code: str, message: str, *, expected: str | None = None, found: str | None = None, retry_seconds: int = 1
) -> ProblemError:
    """A 503: the same request may succeed after `retry_seconds`."""
    headers = {"Retry-After": str(retry_seconds)}
    return ProblemError(503, code, message, expected=expected, found=found, headers=headers)


def head_too_large(expected: str, found: str = "more") -> ProblemError:
    """A 431: the head of a request, its path and headers, is larger than it may be."""
    return ProblemError(
        431, "head_too_large", "the head of the request is too large", expected=expected, found=found
    )


def named_client(headers: Mapping[str, str]) -> str:
    """The id that a client gives itself; empty where it gives none.

    Raises:
        ProblemError: 400, the header has something else than an id.
    """
    try:
        return client_of(headers)
    except ValueError as error:
        raise ProblemError(
            400,
            "not_a_client_id",
            "the header X-Client-ID is no id; send another, or none",
            expected="1 to 128 characters of printable ASCII without spaces",
            found=shortened(str(error)),
        ) from None


def install(app: FastAPI) -> None:
    """Make every error of `app` come out in the one shape."""

    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ProblemError)
        return error.response()

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return (_not_json(request) or _invalid(error.errors())).response()

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return _http(error, request).response()

    async def internal(_: Request, __: Exception) -> JSONResponse:
        log.error("request %s failed", kept_id(current_id(), "mask"))
        # The server logs the traceback; the client learns nothing about our insides.
        return ProblemError(500, "internal", "the server failed on this request; see its log").response()

    app.add_exception_handler(ProblemError, problem)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, internal)


def _not_json(request: Request) -> ProblemError | None:
    """415 when the body is not declared as JSON: then it was not even read as such."""
    declared = request.headers.get("content-type", "")
    if re.fullmatch(r"application/([\w.-]+\+)?json", declared.split(";")[0].strip(), re.IGNORECASE):
        return None
    return ProblemError(
        415,
        "not_json",
        "the body must be declared as JSON",
        expected="Content-Type: application/json",
        found=f"Content-Type: {declared[:_SHOWN_CHARACTERS]}" if declared else "no Content-Type",
    )


def _invalid(errors: Sequence[Any]) -> ProblemError:
    """422 from pydantic's list of errors: all places in the message, the first in expected and found."""
    first = errors[0]
    if first["type"] == "json_invalid":
        where = first["loc"][-1]
        return ProblemError(
            422,
            "invalid_json",
            f"the body is not JSON, at character {where}",
            expected="a JSON object",
            found=str(first.get("ctx", {}).get("error", "")) or None,
        )
    shown = [f"{_place(error['loc'])} {_said(error)}" for error in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        shown.append(f"and {len(errors) - _SHOWN_ERRORS} more")
    return ProblemError(
        422,
        "invalid_request",
        "; ".join(shown),
        expected=_REQUEST if first["type"] == "extra_forbidden" else _expected_at(first["loc"]),
        found=None
        if first["type"] in ("missing", NOTHING_ASKED, ASKED_TWICE)
        else _short(first.get("input")),
    )


def _expected_at(location: Sequence[Any]) -> str:
    """What the field at a place of the body, `("body", "top_k")`, expects."""
    return next((_FIELDS[part] for part in location[1:2] if part in _FIELDS), _REQUEST)


def _said(error: Mapping[str, Any]) -> str:
    """What is wrong at a place, in words that go on from the place's name."""
    if error["type"] == "value_error":
        return f"is {error['ctx']['error']}"
    return _SAID.get(error["type"]) or f"is wrong: {error['msg']}"


def _http(error: HTTPException, request: Request) -> ProblemError:
    status, message, expected = error.status_code, str(error.detail), None
    path = shortened(request.url.path)
    if status == HTTPStatus.NOT_FOUND:
        message = f"there is nothing at {path}; /docs lists what there is"
        if len(path) > 1 and path.endswith("/"):
            message = f"there is nothing at {path}; paths do not end with /, and /docs lists them"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        expected = Headers(error.headers or {}).get("allow")
        message = f"{shortened(request.method)} is not for {path}; /docs says what is"
    elif status == HTTPStatus.BAD_REQUEST:  # the one that FastAPI raises itself, for a body
        message, expected = "the body cannot be read: it is not UTF-8, or nested too deep", _REQUEST
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    return ProblemError(status, code, message, expected=expected, headers=error.headers)


def _place(location: Sequence[Any]) -> str:
    return shortened(".".join(str(part) for part in location))


def shortened(text: str) -> str:
    """The beginning of a text of the client's: it may be long, and hold what cannot be encoded."""
    return text[:_SHOWN_CHARACTERS].encode("ascii", "backslashreplace").decode()


def _short(value: Any) -> str:
    # ascii(): a lone surrogate in the value could not be encoded in the answer.
    text = ascii(value)
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
    return f"{type(value).__name__} {cut}"
