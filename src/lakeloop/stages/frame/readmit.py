"""Rows of the quarantine that the loop file lets in as it is now: found by `look`, let in by `readmit`.

Nothing is moved from table to table: the stages of a day read, build and judge it anew, and publish it whole.
A day is looked at only where its rules, or its delivery, are others than when its rows were set aside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lakeloop.errors import EXIT_DATA, FenceError, LakeloopError
from lakeloop.faults import reach
from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import DATA, stage_named
from lakeloop.stages.frame.progress import Day, days_of
from lakeloop.stages.frame.rules import models_digest, same_build, same_rules, same_verdict
from lakeloop.stages.frame.run import RunEvent
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.lake.corrections import Correction
    from lakeloop.quality.quarantine import Place, Wanted
    from lakeloop.sources.base import Delivery

Cause = tuple[str, str, str | None]
"""Stage, reason code and column of rows that were set aside."""
Where = tuple[str, int | None]
"""File and line of one of them."""
_FORECAST_ROWS = 5_000
OPEN = "not known before they are read"
"""Why rows stay, of which nobody can say more without doing the work."""


@dataclass
class Fate:
    """What becomes, or became, of the rows that were set aside on one day for one reason."""

    rows: int = 0
    come_in: int = 0
    stay: Counter[str] = field(default_factory=Counter)
    """Reason code, or why nothing can be said -> rows."""


@dataclass
class DayFate:
    """The same of all rows of one day that were asked for."""

    partition: str
    first: str = ""
    """The stage from which on the day is to be done anew; empty where that would change nothing."""
    note: str = ""
    """What a person has to know of the day: that its delivery is gone, that a stage failed."""
    exit_code: int = 0
    """Of a failure, as a command ends with it; 0: all went well."""
    corrections: list[Correction] = field(default_factory=list)
    """Of records whose delivery is gone, and that the loop file reads now: kept before the day is done."""
    fates: dict[Cause, Fate] = field(default_factory=lambda: defaultdict(Fate))

    @property
    def come_in(self) -> int:
        return sum(fate.come_in for fate in self.fates.values())

    @property
    def open(self) -> int:
        """Rows of which nobody knows before the day is done anew."""
        return sum(fate.stay[OPEN] for fate in self.fates.values())

    @property
    def is_due(self) -> bool:
        return bool(self.first) and bool(self.come_in or self.open)

    def add(self, place: Place, stays: str) -> None:
        """Count a row; empty: it comes in."""
        fate = self.fates[place.stage, place.reason, place.column]
        fate.rows += 1
        if stays:
            fate.stay[stays] += 1
        else:
            fate.come_in += 1


def look(context: StageContext, wanted: Wanted) -> list[DayFate]:
    """What would become of the rows that fit `wanted` by the loop file as it is now, oldest day first.

    Writes nothing. Read again are deliveries and rows of days only whose rules are others by now.

    Raises:
        ConfigurationError: the loop has no tables yet, or a check cannot be evaluated.
    """
    from lakeloop.quality.quarantine import places

    days = {day.partition: day for day in days_of(context.lake.ledger.entries())}
    found: dict[str, list[Place]] = defaultdict(list)
    for place in places(context.lake, wanted):
        found[place.partition].append(place)
    dbt = models_digest(context)
    return [_look_at(context, days[name], found[name], dbt) for name in sorted(found) if name in days]


def readmit(
    context: StageContext,
    wanted: Wanted,
    days: Sequence[DayFate],
    on_event: Callable[[RunEvent], None],
    by: str = "",
) -> list[DayFate]:
    """Do the days of `look` anew that have rows to let in, and say what became of the rows that fit `wanted`.

    A day that fails keeps what it had, and keeps no other day back. `by` is who asks for it.
    """
    from lakeloop.lake.corrections import correct as keep
    from lakeloop.quality.quarantine import places

    read = [one.model_copy(update={"corrected_by": by}) for day in days for one in day.corrections]
    if read:
        keep(context.lake, read, context.attempt)
    due = [day for day in days if day.is_due]
    return [
        _done_anew(context, day, places(context.lake, replace(wanted, partition=day.partition)), on_event)
        for day in due
    ]


def correct(
    context: StageContext, corrections: Sequence[Correction], on_event: Callable[[RunEvent], None]
) -> list[DayFate]:
    """Keep `corrections` and do their days anew; what became of the rows that they are of.

    Killed in between, what was kept makes its days due.

    Raises:
        FenceError: somebody else corrects at this moment; nothing was kept.
    """
    from lakeloop.lake.corrections import correct as keep
    from lakeloop.quality.quarantine import Wanted as Rows
    from lakeloop.quality.quarantine import places

    keep(context.lake, corrections, context.attempt)
    reach("readmit.after-corrections")
    spots = {one.spot for one in corrections}
    done = []
    for day in sorted({one.partition for one in corrections}):
        mine = [
            place
            for place in places(context.lake, Rows(partition=day))
            if (place.partition, place.source_file, place.source_line) in spots
        ]
        done.append(_done_anew(context, DayFate(day, "ingest"), mine, on_event))
    return done


def _done_anew(
    context: StageContext, day: DayFate, before: Sequence[Place], on_event: Callable[[RunEvent], None]
) -> DayFate:
    """Do a day anew, and say what became of those of its rows that were set aside at `before`."""
    from lakeloop.quality.quarantine import Wanted as Rows
    from lakeloop.quality.quarantine import places

    note, exit_code = _run_from(context, day, on_event)
    # A line that ingest takes in now may be refused by validate: it is in quarantine all the same.
    after = {_where(one): one.reason for one in places(context.lake, Rows(partition=day.partition))}
    done = DayFate(day.partition, day.first, note or day.note, exit_code)
    for place in before:
        done.add(place, after.get(_where(place), ""))
    return done


def _run_from(context: StageContext, day: DayFate, on_event: Callable[[RunEvent], None]) -> tuple[str, int]:
    """Do the stages of the day from its first on; why it went no further, and the exit code of that."""
    for stage in map(stage_named, DATA[DATA.index(day.first) :]):
        on_event(RunEvent(stage.name, day.partition, "started"))
        try:
            record: StageRecord = stage.function(context, day.partition)
        except LakeloopError as error:
            on_event(RunEvent(stage.name, day.partition, "failed", str(error)))
            return f"{stage.name} failed, the day stays as it was: {error}", error.exit_code
        on_event(RunEvent(stage.name, day.partition, "ended", record.reason, record))
        if record.status == "skipped":
            return record.reason, EXIT_DATA
    return "", 0


def _where(place: Place) -> Where:
    return place.source_file, place.source_line


def _look_at(context: StageContext, day: Day, found: Sequence[Place], dbt: str) -> DayFate:
    fate = DayFate(day.partition)
    by_stage: Mapping[str, list[Place]] = {
        name: [place for place in found if place.stage == name] for name in ("ingest", "validate")
    }
    if by_stage["ingest"]:
        _look_at_refused(context, day, by_stage["ingest"], fate)
    if by_stage["validate"]:
        _look_at_judged(context, day, by_stage["validate"], fate, dbt)
    return fate


def _stay_as_they_are(found: Iterable[Place], fate: DayFate) -> None:
    for place in found:
        fate.add(place, place.reason)


def _look_at_refused(context: StageContext, day: Day, found: Sequence[Place], fate: DayFate) -> None:
    """Rows that ingest refused: they are read again where the rules of reading changed.

    Another delivery by the same rules is nothing to look for here: it is due as it is.
    """
    assert day.ingest is not None, "days begin with their ingest"
    if same_rules(context, day.ingest, "raw"):
        _stay_as_they_are(found, fate)
        return
    delivery, other = _delivery(context, day.ingest)
    if other:
        fate.first, fate.note = "ingest", f"its drop is another one since {_when(day.ingest)}"
        for place in found:
            fate.add(place, OPEN)
        return
    if delivery is None:
        from lakeloop.stages.frame.gone import GONE, read_records

        fate.corrections, refused = read_records(context, day.ingest, set(map(_where, found)))
        if not _foreseen(context):
            refused |= {one.spot[1:]: OPEN for one in fate.corrections}
        for place in found:
            fate.add(place, refused.get(_where(place), ""))
        fate.first = "ingest" if fate.corrections else ""
        fate.note = "its drop is not there any more: records are read as quarantine has them"
        if GONE in refused.values():
            fate.note += "; of some that does not do: put the drop back, or edit them"
        return
    fate.first = "ingest"
    try:
        refused = _read_again(context, delivery, set(map(_where, found)))
    except LakeloopError as error:
        fate.first, fate.note = "", f"its drop cannot be read: {error.message}"
        _stay_as_they_are(found, fate)
        return
    for place in found:
        fate.add(place, refused.get(_where(place), ""))


def _delivery(context: StageContext, ingested: StageRecord) -> tuple[Delivery | None, bool]:
    """The delivery that ingest read, None when it is gone; and whether another one is there in its place."""
    from lakeloop.sources.base import found_again
    from lakeloop.sources.registry import open_source

    known = ingested.inputs.get("drop", "")
    try:
        source = open_source(context.loop, context.settings)
        if again := found_again(source, ingested.partition, known):
            return again, False
        return None, source.find(ingested.partition) is not None
    except LakeloopError:  # ingest says why
        return None, False


def _read_again(context: StageContext, delivery: Delivery, wanted: set[Where]) -> dict[Where, str]:
    """Of the records `wanted` (file and line) of a delivery, those that are refused now, and why.

    Rows that are read now are judged by the row checks, as far as that can be known before they are built.
    """
    refused: dict[Where, str] = {}
    rows: list[dict[str, Any]] = []
    for file, row, reason in _records(delivery, wanted):
        place = (file, row["source_line"])
        if reason:
            refused[place] = reason
            continue
        rows.append({**row, "source_file": file})
        if len(rows) == _FORECAST_ROWS:
            refused |= _judged(context, rows)
            rows = []
    return refused | _judged(context, rows)


def _records(delivery: Delivery, wanted: set[Where]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """File, row and reason (empty: it was read) of each record at one of the places `wanted`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lines: dict[str, set[int | None]] = defaultdict(set)
    for name, line in wanted:
        lines[name].add(line)
    for block in delivery.blocks():
        file = block.file or delivery.name
        if not (here := lines.get(file)):
            continue
        for reject in block.rejects:
            if reject.line in here:
                yield file, {"source_line": reject.line}, str(reject.reason)
        mine = pc.is_in(block.rows["source_line"], value_set=pa.array(sorted(filter(None, here)), pa.int64()))
        for row in block.rows.filter(mine).to_pylist():
            yield file, row, ""


def _judged(context: StageContext, rows: Sequence[Mapping[str, Any]]) -> dict[Where, str]:
    """Of rows that are read now, those that a row check refuses.

    What models of the loop's own make of a row nobody knows before they were run.
    """
    from lakeloop.quality.forecast import forecast

    if not _foreseen(context):
        return {(row["source_file"], row["source_line"]): OPEN for row in rows}
    bad = forecast(rows, context.loop)
    return {
        (rows[number]["source_file"], rows[number]["source_line"]): reasons[0]["code"]
        for number, reasons in bad.items()
    }


def _foreseen(context: StageContext) -> bool:
    """Whether it is known without a run of dbt what becomes of a row: not by models of the loop's own."""
    from lakeloop.transform.models import models_of

    return models_of(context.settings.dbt, context.loop).generated


def _look_at_judged(context: StageContext, day: Day, found: Sequence[Place], fate: DayFate, dbt: str) -> None:
    """Rows that validate refused: staging has them, and they are judged again where the rules changed."""
    if same_verdict(context, day, dbt):
        _stay_as_they_are(found, fate)
        return
    fate.first = fate.first or "transform"
    if day.transform is None or not same_build(context, day.transform, dbt):
        for place in found:
            fate.add(place, OPEN)
        return
    try:
        refused = _judge_again(context, day.transform)
    except FenceError as error:  # the day is being built at this moment
        fate.first, fate.note = "", error.message
        _stay_as_they_are(found, fate)
        return
    for place in found:
        fate.add(place, refused.get(_where(place), ""))


def _judge_again(context: StageContext, transformed: StageRecord) -> dict[Where, str]:
    """File and line of each row of staging that is bad by the loop file as it is now, and why."""
    import tempfile
    from pathlib import Path

    from lakeloop.quality.rows import bad_places, give_verdicts
    from lakeloop.scratch.duckdb import open_duckdb

    version = context.lake.version("staging")
    context.require_as_recorded("staging", transformed, version)
    pinned: Any = {"version": version, "partition": transformed.partition}
    with (
        tempfile.TemporaryDirectory(prefix="lakeloop-") as folder,
        open_duckdb(Path(folder) / "judged.duckdb") as connection,
    ):
        staging = context.lake.row_files("staging", **pinned) or context.lake.scan("staging", **pinned)
        give_verdicts(connection, staging, context.loop)
        return bad_places(connection)


def _when(record: StageRecord) -> str:
    return f"{record.provenance.finished_at:%Y-%m-%d %H:%M} UTC"
