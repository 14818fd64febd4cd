"""What is wrong with a loop file, as data, and the one error that lists all of it for a person.

Finding problems is the business of `document` (the YAML) and `load` (the meaning).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakeloop.errors import ConfigurationError

Key = tuple[str | int, ...]
"""Where something is in the file: names of mappings, numbers (from 0) in lists."""

MOST_SHOWN = 25
_LONGEST = 80


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; an empty part is left out of the message."""

    line: int
    """From 1; 0 when it is not in a file."""
    key: Key
    message: str
    expected: str = ""
    found: str = ""
    nearest: str = ""
    remedy: str = ""

    def lines(self, file: str) -> list[str]:
        """As text: a headline `file:line: key: message`, then the parts."""
        place = f"{file}:{self.line}: " if self.line else ""
        key = f"{place}{dotted(self.key)}: " if self.key else place
        parts = {
            "expected": self.expected,
            "found": self.found,
            "did you mean": self.nearest,
            "to do": self.remedy,
        }
        return [f"  {key}{self.message}", *(f"    {name}: {part}" for name, part in parts.items() if part)]


def list_problems(where: str, problems: Sequence[Problem]) -> ConfigurationError:
    """One error with all `problems` of `where` (a file, or what else was read), in its order."""
    ordered = sorted(problems, key=lambda problem: problem.line)
    text = [f"{len(ordered)} problem{'s'[: len(ordered) > 1]}"]
    for problem in ordered[:MOST_SHOWN]:
        text += problem.lines(where)
    if len(ordered) > MOST_SHOWN:
        text.append(f"  ... and {len(ordered) - MOST_SHOWN} more")
    return ConfigurationError("\n".join(text), where=where)


def dotted(key: Key) -> str:
    """`key` as people write it: `checks.rows[0].column`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' * bool(text)}{plain(part)}"
    return text


def plain(text: str, limit: int = _LONGEST) -> str:
    """`text` on one line, without control characters, cut to `limit` characters."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[:limit] + "..."


def quote(text: str, limit: int = _LONGEST) -> str:
    """`text` in quotes, fit for one line."""
    return f'"{plain(text, limit)}"'


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
