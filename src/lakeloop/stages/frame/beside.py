"""Days whose rows were built when the loop file named other columns beside the text.

Such columns come and go without a reset; until a day is built again, its rows have null in a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lakeloop.errors import DataError
from lakeloop.records import StageRecord
from lakeloop.spec.identity import identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import COLUMN_KEYS

_SHOWN = 5


def other_columns(built: StageRecord, loop: LoopSpec) -> str:
    """In words, which keys were what when `built` was recorded and are not now; empty when none is.

    A record that says nothing of the task is taken for one of the same columns.
    """
    if "task" not in built.config:
        return ""
    task: Any = built.config["task"]
    now: Any = identity(loop, "built").get("task", {})
    changed = [
        f"task.{key} was {_said(task.get(key))}, and is {_said(now.get(key))} now"
        for key in COLUMN_KEYS
        if _said(task.get(key)) != _said(now.get(key))
    ]
    return "; ".join(changed)


def require_same_columns(days: Iterable[str], entries: Iterable[StageRecord], loop: LoopSpec) -> None:
    """Require that the published rows of all `days` were built with the columns that `loop` names.

    `entries` are those of the ledger, oldest first.

    Raises:
        DataError: some were not: in these rows a new column says nothing; names the key and the days.
    """
    done = [entry for entry in entries if entry.status == "done"]
    built = {(one.partition, one.outputs["staging"]): one for one in done if one.stage == "transform"}
    published = {one.partition: one.inputs.get("staging", "") for one in done if one.stage == "validate"}
    made = {day: built.get((day, published.get(day, ""))) for day in days}
    found = {day: other_columns(record, loop) for day, record in made.items() if record}
    others = [day for day, words in found.items() if words]
    if not others:
        return
    shown = ", ".join(others[:_SHOWN]) + (" and more" if len(others) > _SHOWN else "")
    raise DataError(
        f"{len(others)} day(s) were built with other columns beside the text",
        where=f"{loop.name}: {shown}",
        expected="rows with the columns that the loop file names",
        found=f"when they were built, {found[others[-1]]}",
        remedy=f"build them again, which keeps the rows of raw: lakeloop run {loop.name}"
        f" --from {others[0]} --to {others[-1]}; maintenance does it, too",
    )


def _said(value: Any) -> str:
    if not value:
        return "none"
    return value if isinstance(value, str) else ", ".join(map(str, value))
