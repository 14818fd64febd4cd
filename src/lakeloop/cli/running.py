"""Runs one stage function for a verb: opens the loop, shows that it works, shows what came back."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lakeloop.cli.arguments import known_loop
from lakeloop.cli.logs import err
from lakeloop.cli.report import show_record
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.records import StageRecord
from lakeloop.spec.days import require_day
from lakeloop.spec.quoting import quote
from lakeloop.stages.frame.missing import to_do
from lakeloop.stages.frame.session import StageContext

Stage = Callable[..., StageRecord]


def run_stage(
    stage: Stage,
    loop: str,
    partition: str,
    *,
    as_json: bool,
    changes: Mapping[str, Any] | None = None,
    experiment: str = "",
    **options: Any,
) -> None:
    """Run `stage` of `loop` for one day and print its record; `changes` override the loop file.

    With `experiment` the work is that of this experiment.

    Raises:
        LakeloopError: as the stage does.
        DataError: the stage was asked for before its time; says what is missing and what to run.
        ConfigurationError: the loop, the day or an override is wrong.
    """
    require_day(partition, where="--partition")
    context = open_loop(loop, changes or {}, experiment=experiment)
    with working(f"{stage.__name__} {loop} {partition}"):
        record = stage(context, partition, **options)
    missing = to_do(record)
    if as_json or not missing:
        show_record(record, as_json=as_json)
    if missing:
        raise DataError(
            f"nothing was done: {record.reason}", where=f"{stage.__name__} {loop} {partition}", remedy=missing
        )


def open_loop(
    name: str, changes: Mapping[str, Any], *, experiment: str = "", looking: bool = False
) -> StageContext:
    """The context of the loop called `name`, with `changes` on top of its file; of an experiment, or none.

    Who is `looking` is not kept out by tables of other columns than the file says.

    Raises:
        ConfigurationError: there is no such loop, or its file, a change or the experiment's name is wrong.
    """
    _, settings = known_loop(name)
    return StageContext.open(name, settings, changes=changes, experiment=experiment, looking=looking)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show a moving line while the work goes on; what libraries print goes to stderr, not into the result."""
    with err.status(what), contextlib.redirect_stdout(sys.stderr):
        yield


def overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """Changes of the loop file from `KEY=VALUE` texts.

    Raises:
        ConfigurationError: a text is no assignment, or a key is set twice.
    """
    from lakeloop.spec.reading.document import scalar

    changes: dict[str, Any] = {}
    for text in assignments:
        key, separator, value = text.partition("=")
        if not separator or key.strip() in changes:
            raise ConfigurationError(
                "set twice" if separator else "not an assignment",
                where="--set",
                expected="KEY=VALUE, such as train.epochs=3, each key once",
                found=quote(text),
            )
        changes[key.strip()] = scalar(value.strip())
    return changes


def user() -> str:
    """Who asks, for the history: the user of the operating system."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number that has no name
        return ""
