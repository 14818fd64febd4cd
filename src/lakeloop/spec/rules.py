"""How a rule between fields is reported: every broken one at once, each with the key that it is about.

pydantic knows one message for a model-level check; these carry their parts to `reading.wording`. The rules
themselves stand in the sections.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pydantic_core import PydanticCustomError

BROKEN_RULE = "broken_rule"


class Broken(NamedTuple):
    """One broken rule."""

    key: str | tuple[str, ...]
    """Relative to the section that checks the rule; dotted (`rows.0` for an item), or its parts where one of
    them has words of a user."""
    message: str
    expected: str
    found: str
    known: tuple[str, ...] = ()
    """Valid values, when what was found may be one of them mistyped."""


def refuse_broken(broken: Sequence[Broken]) -> None:
    """Raise one pydantic error that carries all of `broken`; return when there is none."""
    if broken:
        text = "; ".join(f"{b.key}: {b.message}, expected {b.expected}, found {b.found}" for b in broken)
        raise PydanticCustomError(BROKEN_RULE, "{text}", {"text": text, "broken": tuple(broken)})


def broken_limits(lowest: float | None, highest: float | None) -> list[Broken]:
    """A rule of keys `min` and `max`: one of them is given, and a number can be within."""
    if lowest is None and highest is None:
        return [Broken("min", "no limit is given", "min, max or both", "neither")]
    if lowest is not None and highest is not None and highest < lowest:
        return [Broken("max", "no number can pass", f"at least min ({lowest:g})", f"{highest:g}")]
    return []
