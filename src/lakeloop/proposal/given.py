"""What a person points at with `--from`, as a loop file says it, and the first records that are there.

How each kind of place is looked at is in a module of its own; `propose` has the list of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakeloop.proposal.sample import Sample
from lakeloop.settings import Settings


@dataclass(frozen=True)
class Pointer:
    """What a person wrote."""

    loop: str
    """Name of the loop to be."""
    text: str
    """A path, a pattern or an address; empty where a connection alone says where."""
    settings: Settings
    table: str | None = None
    """Of a database."""
    connection: str | None = None
    """Name of the connection that has address or credentials."""


@dataclass(frozen=True)
class Given:
    """A place that a loop can read."""

    shown: str
    """The place, for people: without secrets."""
    what: str
    """What is there: `csv`, `a table of SQLite`."""
    keys: Mapping[str, Any]
    """Keys of section `source`, without those that follow from the records."""
    sample: Sample
    says_day: bool
    """`keys` say the day of a record; else one of its columns has to."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Key -> what a person should know of it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variable of the environment that the loop needs -> its value as far as it may be shown."""
    undated: Mapping[str, Any] = field(default_factory=dict)
    """More keys where no column says a day: they say it then."""
    dating: str = "name a column with times or dates: --time COLUMN"
    """What to do where nothing says the day of a record."""
