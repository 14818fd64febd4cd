"""Letting rows of the quarantine in from its page: days done anew by Airflow, and one row edited.

As `lakeloop readmit` does it, by the page's user: Airflow runs the days, with the reason as the note of each
run; who corrected a row, when and why is kept in the lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from lakeloop_airflow.window import PARAM

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, DataError, ServiceError
from lakeloop.lake.corrections import correct
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.quality.quarantine import Wanted
from lakeloop.settings import Settings
from lakeloop.spec.checks import OneOf
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.edit_files import DAY, FILE, LINE, Edit
from lakeloop.stages.frame.edited import editable_row, look_at_edits
from lakeloop.stages.frame.rules import other_rules
from lakeloop.stages.frame.session import StageContext
from lakeloop_ui.opened import open_to_look

MOST_DAYS = 100
"""Runs that one click starts."""


@dataclass(frozen=True)
class Started:
    """What was started."""

    runs: tuple[tuple[str, str], ...]
    """DAG and day."""
    left: int
    """Days that are left to the next click."""


@dataclass(frozen=True)
class RowForm:
    """One row as a form shows it."""

    place: Mapping[str, str]
    """Day, file and line, by the names in its address."""
    reason: str
    detail: str
    raw: str
    fields: Mapping[str, str]
    """Declared field -> what is in it."""
    known: Mapping[str, Sequence[str]]
    """Declared field -> the values that the task knows, for the field that has one of them."""


def start_anew(settings: Settings, loop: str, wanted: Wanted, why: str, api: AirflowApi) -> Started:
    """Have Airflow do the days anew that have rows that fit `wanted` and other rules by now.

    Raises:
        ConfigurationError: no reason is given, or no day has other rules.
        ServiceError: Airflow refuses; runs that it took go on.
    """
    _require_why(why, loop)
    due = other_rules(open_to_look(settings, loop), wanted)
    if not due:
        raise ConfigurationError(
            "nothing of it would come in",
            where=f"{loop} quarantine",
            expected="days that were read or judged by other rules than the loop file has now",
            found="the same rules",
            remedy="mend the loop file first, or edit the rows",
        )
    runs = [(f"{loop}.{stage_named(stage).dag}", day) for day, stage in due.items()]
    for dag, day in runs[:MOST_DAYS]:
        api.trigger(dag, conf={PARAM: day}, note=f"re-admission: {why}")
    return Started(tuple(runs[:MOST_DAYS]), max(len(runs) - MOST_DAYS, 0))


def row_form(settings: Settings, loop: str, day: str, file: str, line: int) -> RowForm | None:
    """The row of the quarantine from this place, to be edited; None when there is none."""
    context = open_to_look(settings, loop)
    found = editable_row(context, day, file, line)
    if found is None:
        return None
    place = {"day": day, "file": file, "line": str(line)}
    shown = {name: "" if value is None else value for name, value in found.items()}
    ours = {name: str(shown.pop(name)) for name in list(shown) if name.startswith("quarantine.")}
    assert {DAY, FILE, LINE} <= ours.keys()
    fields = {name: str(value) for name, value in shown.items()}
    columns = {name: role.column for name, role in context.loop.task.roles().items()}
    of_task = [check for check in context.loop.task.row_checks() if isinstance(check, OneOf)]
    known = {columns[check.column]: check.values for check in of_task}
    return RowForm(
        place, ours["quarantine.reason"], ours["quarantine.detail"], ours["quarantine.record"], fields, known
    )


def edit_row(settings: Settings, loop: str, edit: Edit, why: str, user: BaseUser, api: AirflowApi) -> str:
    """Keep what a person made of one row, and have its day done anew; what happened, in words.

    Raises:
        ConfigurationError: no reason is given.
        DataError: the row would not come in; nothing was kept.
    """
    _require_why(why, loop)
    context = StageContext.open(loop, settings, Attempt.local())
    edit = edit._replace(fields=_as_typed(context, edit))
    found = look_at_edits(context, [edit], why, user.get_name())
    if found.problems:
        raise DataError(
            "the row would not come in; nothing was changed",
            where=f"{loop} {found.problems[0].place}",
            found=found.problems[0].reason,
        )
    if not found.corrections:
        return "It was left as it is." if found.untouched else "That was taken in before."
    correct(context.lake, found.corrections, context.attempt)
    try:
        run = {PARAM: edit.partition}
        api.trigger(f"{loop}.ingest", conf=run, note=f"a corrected row: {why}")
    except ServiceError as error:
        return (
            f"It is kept, and maintenance does its day anew: Airflow does not start it now ({error.message})"
        )
    return f"It is kept, and {edit.partition} is done anew."


def _as_typed(context: StageContext, edit: Edit) -> dict[str, str]:
    """The fields without what a browser makes of line ends: what nobody touched is as it was shown."""
    shown = editable_row(context, edit.partition, edit.source_file, edit.source_line) or {}
    return {
        name: shown[name] if name in shown and _sent(shown[name]) == _sent(value) else _sent(value)
        for name, value in edit.fields.items()
    }


def _sent(text: str) -> str:
    """A text as a browser has it, whatever it sends: it drops the line end at the beginning of a box."""
    return text.replace("\r\n", "\n").removeprefix("\n")


def _require_why(why: str, loop: str) -> None:
    if not why.strip():
        raise ConfigurationError(
            "a change by hand needs a reason", where=f"{loop} quarantine", expected="a few words on why"
        )
