"""Every error the model server answers with has one shape, made here: `{"error": {code, message, ...}}`.

Which error a request gets is decided where the fault is noticed. Texts of a request never go into a log from
here; the client gets at most a short piece of its own value back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

_SHOWN_ERRORS = 5
_SHOWN_CHARACTERS = 60


class ErrorDetail(BaseModel):
    """What is wrong, for programs and for people."""

    code: str
    """For programs: a short name that stays the same."""
    message: str
    """For people: what is wrong and what to do."""
    expected: str | None = None
    found: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is not 2xx."""

    error: ErrorDetail = Field(description="What is wrong.")


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
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = ErrorDetail(code=code, message=message, expected=expected, found=found)
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer to the client, in the one shape."""
        body = ErrorBody(error=self.detail).model_dump(exclude_none=True)
        return JSONResponse(body, status_code=self.status, headers=self.headers)


def unavailable(
    code: str, message: str, *, expected: str | None = None, found: str | None = None, retry_seconds: int = 1
) -> ProblemError:
    """A 503: the same request may succeed after `retry_seconds`."""
    headers = {"Retry-After": str(retry_seconds)}
    return ProblemError(503, code, message, expected=expected, found=found, headers=headers)


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
    shown = [f"{_place(error['loc'])}: {error['msg']}" for error in errors[:_SHOWN_ERRORS]]
    if len(errors) > _SHOWN_ERRORS:
        shown.append(f"and {len(errors) - _SHOWN_ERRORS} more")
    return ProblemError(
        422,
        "invalid_request",
        "; ".join(shown),
        expected='{"texts": ["...", ...], "request_id": "..." (optional)}',
        found=None if first["type"] == "missing" else _short(first.get("input")),
    )


def _http(error: HTTPException, request: Request) -> ProblemError:
    message = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"there is nothing at {request.url.path[:_SHOWN_CHARACTERS]}; /docs lists what there is"
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return ProblemError(error.status_code, code, message, headers=error.headers)


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
