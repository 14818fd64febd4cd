"""The published rows of a loop dealt into splits, with what is suspicious of them: frozen or only shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.datasets.published import PublishedPartition
from lakeloop.errors import DataError, FenceError
from lakeloop.measures.leaking import Leak, LeakReport
from lakeloop.records import fingerprint
from lakeloop.spec.identity import decisive
from lakeloop.spec.leaks import Leaks
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.datasets.assemble import Assembled
    from lakeloop.datasets.missing import Missing


@dataclass(frozen=True)
class Dealt:
    """Rows of one version of the mart, dealt."""

    assembled: Assembled
    leaks: LeakReport


def deal_out(context: StageContext, published: Mapping[str, PublishedPartition], version: int) -> Dealt:
    """The rows of the `published` days as the mart has them at `version`.

    Raises:
        DataError: rows do not fit the task any more.
        FenceError: a day of the mart is being published at this moment.
    """
    from lakeloop.datasets.assemble import assemble
    from lakeloop.datasets.dealing import GROUP
    from lakeloop.datasets.leaks.base import Looked, in_order
    from lakeloop.datasets.leaks.registry import look, needed
    from lakeloop.stages.training.grouped import from_raw
    from lakeloop.tasks.registry import task_of

    loop, lake = context.loop, context.lake
    rows = _read_published(context, published, version)
    task_of(loop.task).require_known(rows, loop.name)
    if (group := loop.split.group) is not None:
        rows = rows.append_column(GROUP, _in_words(from_raw(rows, lake, loop, (group,))[group]))
    task, clean = loop.task, loop.clean
    assembled = assemble(rows, loop.split, task.roles(), task.reads, clean.drop_similar, clean.length)
    del rows
    raw = from_raw(in_order(assembled), lake, loop, needed(loop))
    return Dealt(assembled, look(Looked.of(assembled, loop, raw)))


def missing_in(context: StageContext, published: Mapping[str, PublishedPartition]) -> Missing:
    """Answers without training or test rows in the `published` days as the mart has them now.

    Texts that come again are counted again: what is frozen is as little as this or less.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from lakeloop.datasets.dealing import GROUP, SPLITS, sides_of
    from lakeloop.datasets.missing import Missing, answer_counts, missing_answers
    from lakeloop.stages.training.grouped import from_raw

    loop, task = context.loop, context.loop.task
    if not task.asked_for:
        return Missing({}, {})
    names = ["row_id", "partition", "text_key", task.target]
    rows = context.lake.scan("mart", columns=names).read_all().select(names)
    rows = rows.filter(pc.is_in(rows["partition"].cast(pa.string()), value_set=pa.array(list(published))))
    if (group := loop.split.group) is not None:
        rows = rows.append_column(GROUP, _in_words(from_raw(rows, context.lake, loop, (group,))[group]))
    sides = sides_of(rows, loop.split)
    tables = {name: rows.filter(pa.array(sides == number)) for number, name in enumerate(SPLITS)}
    return missing_answers(answer_counts(tables, task), task)


def decided_by(context: StageContext, published: Mapping[str, PublishedPartition]) -> dict[str, str]:
    """What decides how rows are dealt, and what is found of them, besides split and rows of the mart.

    Nothing where the loop file asks for nothing: data sets of before stay what they were.
    """
    said = {key: value for key, value in decisive(context.loop.leaks, "release").items() if key != "refuse"}
    found = {"leaks": fingerprint(**said)} if said else {}
    if context.loop.split.group is None and not context.loop.leaks.keys:
        return found
    ingested = {
        record.partition: record.outputs["raw"]
        for record in context.lake.ledger.entries("ingest", status="done")
    }
    return found | {f"raw/{day}": ingested[day] for day in published if day in ingested}


def refuse_leaks(report: LeakReport, rules: Leaks, where: str) -> None:
    """Raises DataError where a leak is suspected that the loop file refuses."""
    if found := [leak for leak in report.leaks if leak.kind in rules.refuse]:
        raise DataError(
            "the data set leaks, and leaks.refuse asks for none that does",
            where=where,
            expected=f"no leak by {', '.join(rules.refuse)}",
            found="; ".join(_told(found)),
            remedy="mend the rows, take the column out of the task, or say split.group; where it is no leak,"
            " name the column in leaks.ignore or take the kind out of leaks.refuse",
        )


def _told(leaks: list[Leak]) -> Iterator[str]:
    for leak in leaks:
        shown = ", ".join(f"{each.where}: {each.said}" for each in leak.examples[:1])
        yield leak.sentence + (f", as in {shown}" if shown else "")


def _in_words(values: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    return values.cast(pa.large_string())


def _read_published(
    context: StageContext, published: Mapping[str, PublishedPartition], version: int
) -> pa.Table:
    """The rows of the published days at this version of the mart, proved to be the published ones."""
    import pyarrow as pa

    from lakeloop.lake.marks import digest_of

    tables = []
    for day, found in published.items():
        rows = context.lake.read("mart", version=version, partition=day)
        if (digest := digest_of("mart", rows.to_batches(), found.digest)) != found.digest:
            raise FenceError(
                f"the mart holds other rows of {day} than the ledger says were published",
                where=f"{context.loop.name} mart version {version}",
                expected=f"digest {found.digest[:12]}",
                found=f"digest {digest[:12]}",
                remedy="it is being published now: try again; if it stays so, validate this day again",
            )
        tables.append(rows)
    return pa.concat_tables(tables)
