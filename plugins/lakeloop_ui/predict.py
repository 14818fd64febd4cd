"""The box that asks the model of a loop: the model server is asked from here, for the user's browser.

Nothing of what is asked is kept on this side, and nothing stands in an address.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import ValidationError

from lakeloop.errors import ConfigurationError
from lakeloop.serving.keys import NO_KEY, VARIABLE, bearer, own_key
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import TEXT_PAIR
from lakeloop.tasks.base import Answer
from lakeloop.tasks.registry import task_class

SECONDS = 10.0
"""The server's own limit for an answer may be longer: a page does not wait so long."""
MOST_CHARACTERS = 20_000
_CONNECT_SECONDS = 2.0
_SHOWN_SCORES = 10


@dataclass(frozen=True)
class Field:
    """What a person fills in beside the text."""

    name: str
    title: str
    number: bool = False


@dataclass(frozen=True)
class Asked:
    """A question, and what came of it."""

    text: str = ""
    beside: Mapping[str, str] | None = None
    """Field -> what was filled in."""
    answer: str = ""
    """In a few words."""
    scores: tuple[tuple[str, float], ...] = ()
    """Of the answers that were possible, the most probable first."""
    version: str = ""
    problem: str = ""
    """Why there is no answer, for people."""


def fields_of(loop: LoopSpec) -> list[Field]:
    """What a model of the loop reads beside the text, by the loop file."""
    pair = [Field(TEXT_PAIR, "Second text")] if TEXT_PAIR in loop.task.roles() else []
    beside = (
        Field(f"feature_{feature.name}", feature.name, feature.kept_as == "number")
        for feature in loop.task.features
    )
    return [*pair, *beside]


def ask(settings: Settings, loop: LoopSpec, text: str, filled: Mapping[str, str]) -> Asked:
    """Ask the model server for the answer to one row; a problem is an answer, too."""
    asked = Asked(text, dict(filled))
    try:
        response = _post(settings, loop, _request(loop, text, filled))
        body = response.json()
        if response.is_success:
            return _answered(loop, asked, body)
        problem = str(body.get("detail") or body)
        if body.get("error", {}).get("code") == NO_KEY:
            problem = f"{problem}: set {VARIABLE} for Airflow to a file that begins with a key of the server."
    except _NotANumberError as error:
        problem = f"{error} is not a number."
    except ConfigurationError as error:
        problem = str(error)
    except httpx.TimeoutException:
        problem = f"The model server did not answer within {SECONDS:g} seconds."
    except httpx.HTTPError as error:
        why = type(error).__name__
        problem = f"The model server at {settings.server_url} cannot be asked ({why}): is it running?"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        problem = f"The model server's answer was not understood: {error}"
    return Asked(text, dict(filled), problem=problem)


class _NotANumberError(Exception):
    """What stands in a field for numbers."""


def _post(settings: Settings, loop: LoopSpec, request: dict[str, Any]) -> httpx.Response:
    path = f"{settings.server_url.rstrip('/')}/v1/loops/{loop.name}/predict"
    timeout = httpx.Timeout(SECONDS, connect=_CONNECT_SECONDS)
    # What proxies and netrc of this machine say is not for a server of our own.
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        return client.post(path, json=request, headers=bearer(own_key(settings.serve_keys_file)))


def _request(loop: LoopSpec, text: str, filled: Mapping[str, str]) -> dict[str, Any]:
    instance: dict[str, Any] = {"text": text}
    features: dict[str, float | str] = {}
    for one in fields_of(loop):
        value = filled.get(one.name, "").strip()
        if not value:
            continue
        if one.name == TEXT_PAIR:
            instance[TEXT_PAIR] = value
        else:
            features[one.title] = _number(one, value) if one.number else value
    if features:
        instance["features"] = features
    return {"texts": [text]} if len(instance) == 1 else {"instances": [instance]}


def _number(field: Field, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _NotANumberError(field.title)
    return number


def _answered(loop: LoopSpec, asked: Asked, body: Mapping[str, Any]) -> Asked:
    prediction = body["predictions"][0]
    task = task_class(loop.task.kind)
    try:
        answer: Answer = task.answer.model_validate(prediction)
        words = task.shown(answer)
    except ValidationError:  # of a model whose task is another than the loop file's by now
        words = json.dumps(prediction, ensure_ascii=False)
    scores = prediction.get("scores")
    ranked = sorted(scores.items(), key=lambda one: -one[1]) if isinstance(scores, dict) else []
    return Asked(
        asked.text,
        asked.beside,
        answer=words,
        scores=tuple((str(name), float(score)) for name, score in ranked[:_SHOWN_SCORES]),
        version=str(body["model_version"]),
    )
