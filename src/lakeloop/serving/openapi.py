"""What the API page says: the loops that are served, an example of each of their tasks, the errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lakeloop.plural import counted
from lakeloop.serving.exchange import ServedLoop
from lakeloop.serving.guard.identity import CLIENT_ID, PATTERN, REQUEST_ID
from lakeloop.serving.guard.keyed import OPEN
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import PROBLEM_JSON
from lakeloop.serving.messages import example_request, example_response

SHORT_FORMS = ("/v1/predict", "/v1/model")
"""For a server of one loop."""
_JSON = "application/json"
_PROBLEM = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
_ID = {"X-Request-ID": {"description": "Of the request, or made up.", "schema": {"type": "string"}}}
_RETRY = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def describe(
    app: FastAPI, loops: Mapping[str, ServedLoop], limits: Limits, *, keyed: bool = False
) -> dict[str, Any]:
    """The OpenAPI document of a server of `loops`; `keyed`: one that has keys."""
    names = list(loops)
    schema = get_openapi(
        title=f"Lakeloop: {', '.join(names)}",
        version=app.version,
        description=_description(names, limits),
        routes=app.routes,
    )
    if len(names) > 1:
        for path in SHORT_FORMS:
            del schema["paths"][path]
    for operation in _operations(schema):
        _say_problems(operation)
        for parameter in operation.get("parameters", ()):
            if parameter["name"] == "loop":
                parameter["schema"]["enum"] = names
    kinds = sorted({served.task for served in loops.values()})
    for path, operations in schema["paths"].items():
        if path.endswith("/predict"):
            _add_examples(operations["post"], kinds)
    if keyed:
        _say_keys(schema)
    return schema


def _say_keys(schema: dict[str, Any]) -> None:
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this server."},
        "basic": {"type": "http", "scheme": "basic", "description": "For browsers: any name, and the key."},
    }
    refused = {
        "description": "No key of this server.",
        "headers": {**_ID, "WWW-Authenticate": {"schema": {"type": "string"}}},
        "content": _PROBLEM,
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path not in OPEN:
                operation["security"] = [{"bearer": []}, {"basic": []}]
                operation["responses"]["401"] = refused


def _operations(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (operation for path in schema["paths"].values() for operation in path.values())


def _say_problems(operation: dict[str, Any]) -> None:
    """All answers of an operation have an id, and those that are errors the one shape."""
    for code, response in operation["responses"].items():
        response["headers"] = {**_ID, **(_RETRY if code == "503" else {})}
        if code >= "400":
            response["content"] = _PROBLEM
    if operation.get("parameters") and "404" not in operation["responses"]:
        del operation["responses"]["422"]


def _add_examples(operation: dict[str, Any], kinds: list[str]) -> None:
    asked, answered = operation["requestBody"]["content"], operation["responses"]["200"]["content"]
    for place, example in ((asked, example_request), (answered, example_response)):
        place[_JSON]["examples"] = {
            kind: {"summary": f"task: {kind}", "value": example(kind)} for kind in kinds
        }
    operation["parameters"] = [
        *operation.get("parameters", ()),
        {
            "name": REQUEST_ID,
            "in": "header",
            "required": False,
            "description": "An id of yours; that in the body counts before it.",
            "schema": {"type": "string"},
        },
        {
            "name": CLIENT_ID,
            "in": "header",
            "required": False,
            "description": "A name of yours, kept nowhere: while a new version answers a share of requests,"
            " all of one name are answered by one version. One that is no name is refused with 400.",
            "schema": {"type": "string", "pattern": PATTERN},
        },
    ]


def _description(names: list[str], limits: Limits) -> str:
    short = "" if len(names) > 1 else " `/v1/predict` and `/v1/model` are short forms for the one loop."
    champions = ", ".join(f"`{name}`" for name in names)
    return (
        f"Answers texts with the champions of: {champions}.{short} A request may have"
        f" {counted(limits.texts, 'text')} of {limits.characters} characters and {limits.body_bytes} bytes,"
        " which may come in gzip. Answers are logged to the lake. Every error has the same shape (RFC 9457)."
    )
