"""Keeps secrets out of journals, out of W&B and out of our logs: by a key's name, a known value, a shape.

Journals are redacted before anything is written, for what never reached the disk cannot leak from it, and
again before anything is told to W&B. A bare `key` is no secret here (loop files name their key column so),
nor are `max_tokens` or the word token in a sentence. Where a text can be read both ways it is hidden.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"""
      passw(or)?d | passphrase | passcode | secret | credential | authorization | bearer | (^|[_\-.])cookie
    | (^|[_\-.]) (token|sas|pat|pwd|pass|jwt|dsn|auth) ($|[_\-.]) | [a-z]Token$ | (?-i:[a-z](Auth|Pass)$)
    | (api|access|account|auth|private|signing|signature|encryption|fernet|ssh|master|service|storage|session
        |shared|host|deploy|license)[_\-.]?key
    | conn(ection)?_?str(ing)? | sql_alchemy_conn
    """,
    re.IGNORECASE | re.VERBOSE,
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*_(KEY|KEYS|TOKENS|PASSES|CONN|PWD)")
"""An environment variable by its usual endings; in lower case the same endings are words of loop files."""
_PLAIN_VARIABLE = re.compile(
    r".*(PRIMARY|FOREIGN|SORT|PARTITION|PUBLIC|ROW|TEXT|NATURAL|UNIQUE|JOIN|GROUP|CACHE|BUSINESS|MAX|MIN|NUM)"
    r"_(KEYS?|TOKENS)"
)
_SHORTEST_SECRET = 8
"""Characters. A shorter value of a secret variable is likely a common word, and would blot out text."""
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})
"""Variables of every shell: the working folder. Hidden, no path below it could be followed any more."""
_LONGEST_CACHED = 120
"""Characters of a text whose redaction is remembered: names of metrics come again with each step."""


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a key, an option or an environment variable of this name holds a secret."""
    if _SECRET_NAME.search(name):
        return True
    return bool(_VARIABLE.fullmatch(name)) and not _PLAIN_VARIABLE.fullmatch(name)


def known_secrets() -> tuple[str, ...]:
    """Values of variables and of storage options whose names say that they are secret; longest first."""
    named = [*os.environ.items(), *_storage_options()]
    found = {
        value
        for name, value in named
        if len(value) >= _SHORTEST_SECRET and is_secret_name(name) and name not in _NO_SECRETS
    }
    return tuple(sorted({form for value in found for form in spellings(value)}, key=len, reverse=True))


def spellings(secret: str) -> set[str]:
    """`secret` as it is, and as an address or JSON writes it."""
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {secret, *quoted, json.dumps(secret)[1:-1]}


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
            redacted(str(key), secrets): HIDDEN
            if is_secret_name(str(key)) and _holds_text(item)
            else scrub(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return _scrub_items(list(value), secrets)
    if not isinstance(value, str) and callable(item := getattr(value, "item", None)):
        return scrub(item(), secrets)
    return redacted(str(value), secrets)


def redacted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` without `secrets`, and without what looks like one: also in JSON, as far as it can be read."""
    return _redacted_again(text, secrets) if len(text) <= _LONGEST_CACHED else _redacted(text, secrets)


def _redacted(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    if text.lstrip()[:1] in ("{", "[") and (within := _json_within(text, secrets)) is not None:
        return within
    for shape, hidden in _SHAPES:
        text = shape.sub(hidden, text)
    return text


_redacted_again = functools.lru_cache(maxsize=4096)(_redacted)


class RedactingFilter(logging.Filter):
    """For a handler: what it writes holds no secret. The values of variables are those at its making."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets = known_secrets()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if (hidden := redacted(text, self._secrets)) != text:
            record.msg, record.args = hidden, ()
        return True


def _scrub_items(items: Sequence[Any], secrets: tuple[str, ...]) -> list[Any]:
    """The items, without the value after an option of a command that names a secret."""
    found: list[Any] = []
    for before, item in zip([None, *items], items, strict=False):
        option = isinstance(before, str) and before.startswith("--") and is_secret_name(before[2:])
        follows = option and isinstance(item, str) and not item.startswith("-")
        found.append(HIDDEN if follows else scrub(item, secrets))
    return found


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


def _json_within(text: str, secrets: tuple[str, ...]) -> str | None:
    """`text`, when it is JSON, with its values redacted by their names; None when it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    scrubbed = scrub(value, secrets)
    return text if scrubbed == value else json.dumps(scrubbed, ensure_ascii=False)


def _spelled(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _hide_login(found: re.Match[str]) -> str:
    """Hide all of an address up to its last @, where there is a login before it."""
    rest = found["rest"]
    before, at, after = rest.rpartition("@")
    if not at or not before:
        return found[0]
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if "@" not in authority:  # the password has a slash, or it is the path that has the @
        host, colon, port = authority.partition(":")
        if not colon or (port.isdigit() and len(port) <= 5 and ("." in host or host == "localhost")):
            return found[0]
    return f"{found['scheme']}{HIDDEN}@{after}"


def _hide_value(found: re.Match[str]) -> str:
    """Hide what is assigned to a secret name; a word behind a colon is a sentence, unless it looks secret."""
    name, between, value = found["name"], found["between"], found["value"]
    if not is_secret_name(name) or value.startswith(HIDDEN[:-1]) or value in _NOTHING:
        return found[0]
    in_quotes = any(mark in f"{between}{value}" for mark in "\"'")
    if ":" in between and not in_quotes and _WEAK.fullmatch(name) and not _looks_secret(value):
        return found[0]
    quote = _QUOTE.match(value)
    mark = quote[0] if quote else ""
    return f"{name}{between}{mark}{HIDDEN}{mark}"


def _hide_line(found: re.Match[str]) -> str:
    return found[0] if found["value"].strip() in _NOTHING else f"{found['name']}{HIDDEN}"


def _hide_in_query(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    if is_secret_name(name) or _QUERY.fullmatch(name) or (_BARE.fullmatch(name) and len(value) >= 16):
        return f"{found['sign']}{name}={HIDDEN}"
    return found[0]


def _hide_option(found: re.Match[str]) -> str:
    if not is_secret_name(found["name"]) or found["value"] in _NOTHING:
        return found[0]
    return f"--{found['name']}{found['between']}{HIDDEN}"


def _hide_bearer(found: re.Match[str]) -> str:
    return f"{found['scheme']}{HIDDEN}" if _looks_secret(found["value"]) else found[0]


def _looks_secret(value: str) -> bool:
    """Whether a value is none that a sentence has: long enough, and with digits, or longer than words are."""
    return (len(value) >= _SHORTEST_SECRET and any(letter.isdigit() for letter in value)) or len(value) >= 20


_WEAK = re.compile(r"(?i)(.*[_\-.])?(token|sas|pat|auth|pass|bearer|cookie|credentials?|secret)")
"""Names that sentences have too, before a colon."""
_QUERY = re.compile(
    r"(?i)sig|signature|x-amz-(signature|credential|security-token)|x-goog-(signature|credential)|awsaccesskeyid"
)
_BARE = re.compile(r"(?i)key|code|k")
"""Names in an address that hold a secret when their value is long."""
_NOTHING = frozenset({"null", "None", "none", "true", "false", "True", "False", "...", "…"})
_QUOTE = re.compile(r"\\*[\"']")
_ITEM = r"\"[^\"]*\"|'[^']*'|[^\s\"'<>`,;]+"
_OF_A_COMMAND = r"[^\n|;]{0,300}?\s"
_NAME_OF_ONE = r"[\w.\-]{0,80}(?:passw(?:or)?d|pass_?phrase|secret)[\w.\-]{0,80}"
_BETWEEN = r"(?P<between>\\*[\"']?\s*(?:=>|[:=])\s*)"
_QUOTED = r"\\*\"(?:[^\"\\]|\\[^\"])*\\*\"|'[^'\n]*'"
_BEGINNINGS = (
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z0-9]{16}\b",  # AWS
    r"AIza[0-9A-Za-z_\-]{35}", r"ya29\.[0-9A-Za-z_\-]{20,}",  # Google
    r"gh[pousr]_[A-Za-z0-9]{30,}", r"github_pat_[A-Za-z0-9_]{40,}", r"glpat-[A-Za-z0-9_\-]{18,}",
    r"hf_[A-Za-z0-9]{30,}", r"wandb_v1_[A-Za-z0-9_]{20,}",
    r"sk[-_](?=[A-Za-z0-9_\-]{0,99}\d)[A-Za-z0-9_\-]{20,}",
    r"xox[abeprs]-[A-Za-z0-9\-]{10,}", r"npm_[A-Za-z0-9]{36}", r"pypi-[A-Za-z0-9_\-]{50,}",
    r"dop_v1_[a-f0-9]{64}", r"dapi[a-f0-9]{32}",
    r"eyJ[A-Za-z0-9_\-]{8,2000}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*",  # JSON web tokens
)  # fmt: skip
"""Keys that are known by how they begin."""
_SHAPES: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(shape), hidden)
    for shape, hidden in (
        # Keys in PEM, also cut off, and with line ends written as \n.
        (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----.*?(-----END [A-Z0-9 ]*-----|\Z)", HIDDEN),
        (r"(?i)(?P<scheme>[a-z][a-z0-9+.\-]{0,30}://)(?P<rest>[^\s\"'<>`]+)", _hide_login),
        # Headers: all that follows on the line.
        (
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\r\n\"'\\]+",
            rf"\1\2{HIDDEN}",
        ),
        (
            r"(?P<scheme>\b(?:[Bb]earer|Basic|Token|ApiKey)\s+)(?P<value>[A-Za-z0-9._~+/=\-]+)",
            _hide_bearer,
        ),
        (r"(?P<sign>[?&;])(?P<name>[A-Za-z0-9_.\-]{1,40})=(?P<value>[^&\s\"'<>#;\\]+)", _hide_in_query),
        # Commands: long options by their names, short ones of the programs that are known for them.
        (
            rf"--(?P<name>[A-Za-z][A-Za-z0-9_.\-]{{0,80}})(?P<between>=|\s+)(?!-)(?P<value>{_ITEM})",
            _hide_option,
        ),
        (
            rf"(\bcurl\b{_OF_A_COMMAND}(?:-u|--user|--proxy-user)[\s=]*[\"']?[^\s:\"']+:)[^\s\"']+",
            rf"\1{HIDDEN}",
        ),
        (
            rf"(\b(?:sshpass\s+-p|docker\s+login\b{_OF_A_COMMAND}-p|redis-cli\b{_OF_A_COMMAND}-a)\s*)[^\s]+",
            rf"\1{HIDDEN}",
        ),
        (rf"(\b(?:mysql|mariadb|mysqldump|mysqladmin)\b{_OF_A_COMMAND}-p)[^\s]+", rf"\1{HIDDEN}"),
        (r"(\bpass:)[^\s\"']+", rf"\1{HIDDEN}"),
        # A line of YAML or of an ini file: pass phrases have spaces.
        (
            rf"(?im)^(?P<name>[ \t]*-?[ \t]*{_NAME_OF_ONE}[ \t]*:[ \t]+)(?P<value>[^\n\"'{{\[]+)$",
            _hide_line,
        ),
        # NAME=value, name: value, "name": "value", \"name\": \"value\".
        (
            rf"(?P<name>[A-Za-z][A-Za-z0-9_.\-]{{1,80}}){_BETWEEN}(?P<value>{_QUOTED}|[^\s\"'<>`,;&)}}\]]+)",
            _hide_value,
        ),
        (rf"\b(?:{'|'.join(_BEGINNINGS)})", HIDDEN),
        # A key of an Azure account: 64 bytes in base64.
        (r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==", HIDDEN),
    )
)
"""How secrets look, whatever they are called: pattern, and what takes its place."""
