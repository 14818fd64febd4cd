"""From files to a proposal: sample, columns, parts, path."""

from __future__ import annotations

from lakeloop.errors import DataError
from lakeloop.proposal.columns import left_out, propose_columns
from lakeloop.proposal.loop_file import Proposal
from lakeloop.proposal.places import place_of
from lakeloop.proposal.roles import Part, choose_roles
from lakeloop.proposal.sample import take_sample
from lakeloop.settings import Settings


def propose(
    name: str, given: str, settings: Settings, said: dict[Part, str], task: str | None = None
) -> Proposal:
    """What a loop `name` that reads `given` (a file, a folder, a pattern) would be; nothing is written.

    Args:
        name: of the loop.
        given: as a person wrote it.
        settings: where the project is, and which folders loops may read.
        said: columns that a person has chosen.
        task: the kind of task that a person has chosen.

    Raises:
        ConfigurationError: there is no file, or it lies where loops may not read; or no such kind of task.
        DataError: there are no records, no text or no answer in them, or nothing says their day.
    """
    place = place_of(given, settings)
    sample = take_sample(place.files)
    columns = propose_columns(sample)
    roles = choose_roles(columns, said, task)
    time = roles.time.column
    if not place.names_day and time is None:
        raise DataError(
            "nothing says the day of a record",
            where=given,
            expected="a column with times or dates, or the day in the name of each file",
            found=f"columns {', '.join(column.name for column in columns)}"[:300],
            remedy="name each file after its day, such as 2026-11-20.csv; or name the column: --time COLUMN",
        )
    return Proposal(
        name,
        place.path,
        None if place.names_day or time is None else time.name,
        sample,
        tuple(columns),
        tuple(left_out(sample, columns)),
        roles,
    )
