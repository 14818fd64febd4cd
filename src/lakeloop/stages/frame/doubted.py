"""Published rows whose answer is doubted: left out for good, or written for a person to edit.

Both are corrections of their records in the end, as of rows in quarantine: with who, when and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lakeloop.errors import ConfigurationError
from lakeloop.evaluation.doubted import Doubt, Doubts, doubts_of, require_doubtable
from lakeloop.lake.corrections import Correction
from lakeloop.records import now
from lakeloop.sources.corrected import as_json
from lakeloop.stages.frame.edit_files import (
    DAY,
    DETAIL,
    DISCARD,
    DOUBTED,
    FILE,
    LINE,
    REASON,
    RECORD,
    write_rows,
)
from lakeloop.stages.frame.edited import as_read
from lakeloop.stages.frame.session import StageContext

ALL = "all"


def doubts_in(context: StageContext) -> Doubts:
    """Those of all published rows.

    Raises:
        ConfigurationError: the task is none whose answers can be doubted, or cleanlab is not installed.
    """
    task = context.loop.task
    require_doubtable(task.kind)
    columns = ["row_id", "text", task.target, "text_key", "partition", "source_file", "source_line"]
    return doubts_of(context.lake.read("mart", columns=columns), task.target)


def chosen(doubts: Sequence[Doubt], wanted: Iterable[str]) -> list[Doubt]:
    """Those that `wanted` names: `all`, a number for the first, or keys of rows.

    Raises:
        ConfigurationError: a key that none of them has.
    """
    spots: dict[tuple[str, str, int], Doubt] = {}
    for each in wanted:
        by_key = [doubt for doubt in doubts if doubt.row_id == each]
        if each == ALL:
            found = list(doubts)
        elif by_key or not each.isdecimal():
            found = by_key
        else:
            found = list(doubts[: int(each)])
        if not found:
            raise ConfigurationError(
                "none of the doubted rows",
                where="--quarantine",
                expected="a number, all, or a key",
                found=each,
            )
        spots |= {doubt.spot: doubt for doubt in found}
    return list(spots.values())


def left_out(context: StageContext, doubts: Sequence[Doubt], why: str, by: str) -> list[Correction]:
    """The corrections that leave the records of `doubts` out for good; of those that are there still."""
    made = []
    for day, each, fields in _records(context, doubts):
        ingested = context.lake.ledger.latest("ingest", day, "done")
        said = f"{why} (is {each.given}, {each.suggested} more likely)"
        made.append(
            Correction(
                partition=day,
                source_file=each.source_file,
                source_line=each.source_line,
                stage="validate",
                drop=ingested.inputs.get("drop", "") if ingested else "",
                before=as_json(fields),
                record=None,
                why=said,
                corrected_by=by,
                corrected_at=now(),
            )
        )
    return made


def write_review(context: StageContext, doubts: Sequence[Doubt], file: Path) -> int:
    """Write the records of `doubts` to `file` (.csv or .jsonl) as rows to edit, worst first; how many.

    Raises:
        ConfigurationError: answers come apart from their rows, another ending, or a folder that is not there.
    """
    if context.loop.labels is not None:
        raise ConfigurationError(
            "the answers of this loop come apart from its rows",
            where="--review",
            expected="a newer answer for each key, where section `labels` reads them",
            remedy="lakeloop doubts --json has keys, answers and what is more likely",
        )
    rows = []
    place = {doubt.spot: number for number, doubt in enumerate(doubts)}
    for day, each, fields in _records(context, doubts):
        detail = f"{_said(each.given, each.given_probability)}; more likely is " + _said(
            each.suggested, each.suggested_probability
        )
        ours = {DAY: day, FILE: each.source_file, LINE: each.source_line, DISCARD: False, REASON: DOUBTED}
        rows.append((place[each.spot], {**ours, DETAIL: detail, RECORD: each.text, **fields}))
    return write_rows([row for _, row in sorted(rows, key=lambda one: one[0])], context.loop.source, file)


def _records(context: StageContext, doubts: Sequence[Doubt]) -> Iterable[tuple[str, Doubt, dict[str, Any]]]:
    """Day, row and the declared fields of its record, of those that are in the lake."""
    for day in sorted({doubt.partition for doubt in doubts}):
        mine = {(doubt.source_file, doubt.source_line): doubt for doubt in doubts if doubt.partition == day}
        for spot, fields in as_read(context, day, {line for _, line in mine}).items():
            if spot in mine:
                yield day, mine[spot], fields


def _said(answer: str, probability: float) -> str:
    return f"{answer} ({probability:.2f})"
