"""What is wrong with a loop file, as data, and the one error that lists all of it for a person.

Finding problems is the business of `document` (the YAML) and `load` (the meaning).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakeloop.errors import ConfigurationError
from lakeloop.spec.quoting import Key, dotted

MOST_SHOWN = 25


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
