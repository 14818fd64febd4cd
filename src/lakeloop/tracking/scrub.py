"""Keeps secrets out of journals, and so out of W&B: by a key's name, a known value, the shape of a URL.

Run before anything is written: what never reached the disk cannot leak from it. A bare `key` is no
secret here (loop files name their key column so), nor is `max_tokens`.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"""
      passw(or)?d | passphrase | (^|[_\-.])pwd($|[_\-.])
    | secret | credential | authorization | bearer
    | (^|[_\-.]) (token|sas|pat) ($|[_\-.]) | [a-z]Token$
    | (api|access|account|auth|private|signing|encryption|fernet|ssh|master|service|storage)[_\-.]?key
    | conn(ection)?_?str(ing)? | sql_alchemy_conn
    """,
    re.IGNORECASE | re.VERBOSE,
)
_URL_LOGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*://)[^/\s@]+@", re.IGNORECASE)
_SHORTEST_SECRET = 8
"""Characters. A shorter value of a secret variable is likely a common word, and would blot out text."""


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a key or an environment variable of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def known_secrets() -> tuple[str, ...]:
    """Values of this process's environment variables whose names say that they are secret; longest first."""
    found = {
        value for name, value in os.environ.items() if len(value) >= _SHORTEST_SECRET and is_secret_name(name)
    }
    return tuple(sorted(found, key=len, reverse=True))


def scrub(value: Any, secrets: tuple[str, ...]) -> Any:
    """`value` as plain JSON data without secrets.

    Mappings, sequences, numbers (of numpy as well), strings, booleans and None keep their meaning;
    anything else becomes text. Numbers that JSON does not know become "NaN", "Infinity", "-Infinity".
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _spelled(value)
    if isinstance(value, Mapping):
        return {
            _text(str(key), secrets): HIDDEN if item and is_secret_name(str(key)) else scrub(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item, secrets) for item in value]
    if not isinstance(value, str) and callable(item := getattr(value, "item", None)):
        return scrub(item(), secrets)
    return _text(str(value), secrets)


def _text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _URL_LOGIN.sub(rf"\g<scheme>{HIDDEN}@", text)


def _spelled(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
