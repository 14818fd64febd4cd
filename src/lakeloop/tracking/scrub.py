"""Keeps secrets out of journals, and so out of W&B: by a key's name, a known value, the shape of a URL.

Run before anything is written: what never reached the disk cannot leak from it. A bare `key` is no
secret here (loop files name their key column so), nor is `max_tokens`.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
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
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})
"""Variables of every shell: the working folder. Hidden, no path below it could be followed any more."""


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a key or an environment variable of this name holds a secret."""
    return _SECRET_NAME.search(name) is not None


def known_secrets() -> tuple[str, ...]:
    """Values of variables and of storage options whose names say that they are secret; longest first."""
    named = [*os.environ.items(), *_storage_options()]
    found = {
        value
        for name, value in named
        if len(value) >= _SHORTEST_SECRET and is_secret_name(name) and name not in _NO_SECRETS
    }
    return tuple(sorted(found, key=len, reverse=True))


def _storage_options() -> Iterator[tuple[str, str]]:
    try:
        options = json.loads(os.environ.get("LAKELOOP_STORAGE_OPTIONS", "{}"))
    except ValueError:  # `Settings` says what is wrong with the variable
        return
    if isinstance(options, dict):
        yield from ((name, value) for name, value in options.items() if isinstance(value, str))


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
            _text(str(key), secrets): HIDDEN
            if is_secret_name(str(key)) and _holds_text(item)
            else scrub(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item, secrets) for item in value]
    if not isinstance(value, str) and callable(item := getattr(value, "item", None)):
        return scrub(item(), secrets)
    return _text(str(value), secrets)


def _holds_text(value: Any) -> bool:
    # A number under such a name is a count or a score: of tokens, of the class `password reset`.
    if value is None or isinstance(value, bool | int | float):
        return False
    if isinstance(value, str):
        return value != ""
    if isinstance(value, Mapping):
        return any(_holds_text(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_holds_text(item) for item in value)
    if callable(item := getattr(value, "item", None)):
        return _holds_text(item())
    return True


def _text(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return _URL_LOGIN.sub(rf"\g<scheme>{HIDDEN}@", text)


def _spelled(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
