"""What somebody wrote, and where, as text for one line of a message: cut, quoted, no control characters.

And, as `scalar`, for one line of a loop file; as `identifier`, for SQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Key = tuple[str | int, ...]
"""Where something is in the file: names of mappings, numbers (from 0) in lists."""

_LONGEST = 80
_PLAIN_YAML = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS_OF_YAML = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])


def dotted(key: Key) -> str:
    """`key` as people write it: `checks.rows[0].column`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' * bool(text)}{plain(part)}"
    return text


def plain(text: str, limit: int = _LONGEST) -> str:
    """`text` on one line, without control characters, cut to `limit` characters."""
    if len(text) <= limit and text.isprintable():
        return text
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[:limit] + "..."


def printable(text: str, limit: int = 10_000) -> str:
    """`text` line by line, fit for a terminal: no control characters, lines cut to `limit` characters."""
    return "\n".join(plain(line, limit) for line in text.split("\n"))


def quote(text: str, limit: int = _LONGEST) -> str:
    """`text` in quotes, fit for one line."""
    return f'"{plain(text, limit)}"'


def scalar(text: str, *, quoted: bool = True) -> str:
    """`text` as YAML: as it stands where nothing can be mistaken or need not be `quoted`, else in quotes."""
    if not quoted or (_PLAIN_YAML.fullmatch(text) and text.lower() not in _WORDS_OF_YAML):
        return text
    return json.dumps(text, ensure_ascii=False)


def describe(value: Any) -> str:
    """What somebody wrote, in their own terms: `"5" (text)`, `true`, `a list of 3`."""
    if isinstance(value, str):
        return f"{quote(value)} (text)"
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"a mapping of {len(value)}" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return plain(json.dumps(value, default=str))


def choices(names: Sequence[str]) -> str:
    """`a, b or c`."""
    shown = [plain(name) for name in names]
    return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def identifier(name: str) -> str:
    """`name` as an SQL identifier, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
