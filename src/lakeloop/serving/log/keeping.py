"""What of a request the log keeps: its texts, its texts with what identifies a person masked, or no text.

What is masked is said by `cleaning.personal`. A masked text has as many characters as before, so that places
in it stay true.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

from lakeloop.cleaning.personal.registry import blotted, hidden
from lakeloop.spec.release import Kept
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance

_MADE_UP = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}")
"""A UUID: chance made its digits, whatever they look like."""


def kept(row: Instance, answer: Answer | None, how: Kept) -> dict[str, Any]:
    """The columns of the log that tell of a row's content: text, its hash, what is beside it, the answer."""
    told = answer
    if how == "text":
        text, beside = row.text, _json(row.beside)
    elif how == "mask":
        text, beside = hidden(row.text), _json(_masked_in(row.beside))
        told = answer and answer.hidden(row.text, hidden)
    else:
        text, beside = None, None
        told = answer and answer.hidden(row.text, blotted)
    return {
        # Of a masked text: the hash of the text itself would tell a number to whoever tries them all.
        "text_sha256": sha256((row.text if text is None else text).encode()).hexdigest(),
        "text": text,
        "beside": beside,
        "answer": told.model_dump_json() if told else None,
    }


def kept_id(identity: str, how: Kept) -> str:
    """The id that a client gave its request, as the log keeps it: some put an address or a number there."""
    return identity if how == "text" or _MADE_UP.fullmatch(identity) else hidden(identity)


def _json(beside: Any) -> str | None:
    return json.dumps(beside, ensure_ascii=False) if beside else None


def _masked_in(value: Any) -> Any:
    if isinstance(value, str):
        return hidden(value)
    return {name: _masked_in(item) for name, item in value.items()} if isinstance(value, dict) else value
