"""From what a person points at to a proposal: a look, columns, parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lakeloop.errors import DataError
from lakeloop.proposal import apis, databases, hubs, objects, places, tables
from lakeloop.proposal.columns import ProposedColumn, left_out, nested, propose_columns
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.loop_file import Proposal
from lakeloop.proposal.roles import Part, choose_roles
from lakeloop.spec.quoting import quote

_FORMAT = (
    '; or begin without --from, and say in source.columns how times are written: format: "%Y-%m-%d %H.%M"'
)
LOOKS: tuple[Callable[[Pointer], Given | None], ...] = (
    databases.look, apis.look, tables.look, hubs.look, objects.look, places.look,
)  # fmt: skip
"""Kinds of places: the first that does not answer None has looked. A new one is a module and a name here."""


def look_at(pointer: Pointer) -> Given:
    """What is at the place that a person points at: a sample of it.

    Raises:
        ConfigurationError: there is nothing, or it is where loops may not read.
        DataError: no records in it that can be read.
        ServiceError: a server is away.
    """
    return next(given for look in LOOKS if (given := look(pointer)) is not None)


def propose(name: str, given: Given, said: dict[Part, str], task: str | None = None) -> Proposal:
    """What a loop `name` that reads `given` would be; nothing is written.

    Args:
        name: of the loop.
        given: what is to be read.
        said: columns that a person has chosen.
        task: the kind of task that a person has chosen.

    Raises:
        ConfigurationError: there is no such kind of task.
        DataError: no text or no answer in the records, nothing says their day, or a column is not as said.
    """
    columns = propose_columns(given.sample)
    roles = choose_roles(columns, said, task, nested(given.sample))
    time = roles.time.column
    if time is None and given.undated:
        given = replace(given, keys={**given.keys, **given.undated}, says_day=True)
    if not given.says_day and time is None:
        raise DataError(
            "nothing says the day of a record",
            where=given.shown,
            expected="a column with times or dates, or a place that says the day",
            found=f"columns {', '.join(column.name for column in columns)}"[:300] + _like_times(columns),
            remedy=given.dating + (_FORMAT if _like_times(columns) else ""),
        )
    return Proposal(
        name,
        given,
        None if given.says_day or time is None else time.name,
        tuple(columns),
        tuple(left_out(given.sample, columns)),
        roles,
    )


def _like_times(columns: Sequence[ProposedColumn]) -> str:
    """Values of columns that may be times, written as nobody guesses."""
    like = [f"{column.name} {quote(column.example)}" for column in columns if column.may_be_time]
    return f"; these may be times: {', '.join(like[:3])}" if like else ""
