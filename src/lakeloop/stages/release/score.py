"""Stage `score`: a day's rows, of the lake or of files, answered by the champion into table `scores`.

The rows of a day and a source are replaced as a whole, under the fence; the same rows with the same champion
are unchanged. A Parquet file, where one is asked for, is written from the table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from lakeloop.durable import FileState, sha256_file
from lakeloop.errors import ConfigurationError, CountsError, TransientError
from lakeloop.records import StageRecord, fingerprint
from lakeloop.spec.days import DAY_IN_PATH
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import SCORE_SOURCE, SCORE_TO, confine
from lakeloop.spec.reading.nearest import nearest
from lakeloop.spec.score import OF_THE_LAKE
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.progress import newest
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.inference.predictor import Predictor
    from lakeloop.inference.rows_of_files import Asked
    from lakeloop.inference.scoring import Scored
    from lakeloop.lake.draft import Published
    from lakeloop.registry.history import ModelVersion

STAGE = "score"
MADE_BY = {"mart": "validate", "raw": "ingest"}
"""Table -> the stage whose records say which rows of a day it has."""


@dataclass(frozen=True)
class _File:
    """One file of the day."""

    name: str
    """As the loop file calls it."""
    path: Path
    sha256: str
    state: FileState


def score(context: StageContext, partition: str) -> StageRecord:
    """Answer the rows of `score.source` of the day `partition` with the champion.

    Skipped when there is no champion, and when the day has no rows or no file.

    Raises:
        ConfigurationError: the loop file does not say what is answered, or a path leads out of the allowed
            folders.
        DataError: a file cannot be read, or lacks a column that the model reads; nothing was published.
        TransientError: a file was written to meanwhile, or rows are being published anew.
    """
    wanted, loop = context.loop.score, context.loop.name
    if wanted.source is None:
        raise ConfigurationError(
            "the loop file does not say what is answered",
            where=f"{loop} score.source",
            expected="mart, raw or a path of files",
            remedy=f"say it there, or --set score.source=mart; of a file: lakeloop score {loop} FILE --to …",
        )
    config: dict[str, Any] = {"source": wanted.source}
    if wanted.top is not None:
        config["top"] = wanted.top
    with context.stage(STAGE, partition, config=config) as stage:
        target = _target(context, partition)
        champion = _champion(context)
        if champion is None:
            return stage.skipped(f"{loop} has no champion yet", to_do=f"lakeloop run {loop}")
        files = _files(context, partition) if wanted.path else ()
        made_by = MADE_BY.get(wanted.source, "")
        record = context.lake.ledger.latest(made_by, partition, "done") if made_by else None
        if not files and record is None:
            return _nothing_there(stage, made_by)
        below = context.loop.deploy.abstain.threshold(champion.card.thresholds)
        unsure = {"abstains_below": f"{below:g}"} if below else {}
        rows = _identity(stage, files, record, wanted.source)
        stage.inputs(champion=champion.digest, rows=rows, **unsure)
        if done := stage.unchanged():
            _write_file(context, partition, done.outputs.get("source", ""), target, only_missing=True)
            return done
        return _answer(stage, champion, files, record, target)


def pending(standing: Standing) -> Iterator[Pending]:
    """What the loop file says starts by itself: days that were published and not answered, a new champion."""
    wanted, champion = standing.loop.score, standing.champion
    last = newest(standing.entries, STAGE)
    if champion is None or last is None or wanted.source not in OF_THE_LAKE:
        return  # of files nothing tells; the first run is that of the DAG, or of a person
    made: dict[str, StageRecord] = {}
    answered: dict[str, StageRecord] = {}
    for entry in standing.entries:
        if entry.stage == MADE_BY[wanted.source] and entry.status == "done":
            made[entry.partition] = entry
        elif entry.stage == STAGE and entry.status == "done" and entry.config.get("source") == wanted.source:
            answered[entry.partition] = entry
    first = min(answered, default="")
    for day, entry in sorted(made.items()):
        found = answered.get(day)
        if "input" in wanted.when and first and day > first:
            if found is None:
                yield Pending(STAGE, day, f"{wanted.source} of {day} was published and not answered")
            elif found.inputs["rows"] != entry.outputs[wanted.source]:
                yield Pending(STAGE, day, f"{wanted.source} of {day} has other rows than were answered")
    by_another = answered and answered[max(answered)].inputs["champion"] != champion.digest
    if "champion" in wanted.when and by_another:
        day = max(answered)
        yield Pending(STAGE, day, f"{champion.name} is champion and has not answered {day}")


def _champion(context: StageContext) -> ModelVersion | None:
    from lakeloop.registry.registry import Registry

    return Registry(context.lake).champion()


def _nothing_there(stage: StageSession, made_by: str) -> StageRecord:
    context, day = stage.context, stage.partition
    if made_by:
        reason = f"{context.loop.score.source} has no rows of {day}"
        return stage.skipped(reason, to_do=run_first(context, made_by, day))
    path = str(context.loop.score.path).replace(DAY_IN_PATH, day)
    meant = table_meant(path)
    hint = f"did you mean the table {meant}? Else put it there" if meant else "put it there"
    return stage.skipped(f"there is no file {path}", to_do=f"{hint}, or name another: score.source")


def table_meant(source: str) -> str:
    """The table whose name a path may be, with a mistake in it; empty where it looks like a path."""
    return "" if PurePath(source).suffix or re.search(r"[/*?{]", source) else nearest(source, OF_THE_LAKE)


def _files(context: StageContext, day: str) -> tuple[_File, ...]:
    """The files of the day, each digested, by name; none where none is there."""
    from lakeloop.inference.rows_of_files import suffix_of
    from lakeloop.sources.patterns import PathPattern

    pattern = PathPattern(str(context.loop.score.path), context.settings, SCORE_SOURCE)
    names = [match.name for match in pattern.matches(day)] if pattern.many else [pattern.of(day)]
    found: list[_File] = []
    for name in names:
        real = pattern.real(name)
        within = sorted(each.name for each in real.iterdir()) if real.is_dir() and not pattern.many else None
        for part in within if within is not None else [""]:
            called = f"{name.rstrip('/')}/{part}" if part else name
            path = pattern.real(called)
            if path.is_file() and (suffix_of(path) or not (part or pattern.many)):
                found.append(_File(called, path, sha256_file(path), FileState.of(path)))
    return tuple(found)


def _identity(stage: StageSession, files: Sequence[_File], record: StageRecord | None, source: str) -> str:
    """What names the rows for ever: the digest of the table's rows, or of the files."""
    if record is not None:
        return record.outputs[source]
    parts = {file.name: file.sha256 for file in files}
    stage.made_of("rows", parts)
    return fingerprint(files=parts)


def _answer(
    stage: StageSession,
    champion: ModelVersion,
    files: Sequence[_File],
    record: StageRecord | None,
    target: Path | None,
) -> StageRecord:
    from lakeloop.inference.scoring import Scored

    context, partition = stage.context, stage.partition
    source = source_name(str(context.loop.score.source))
    done, fence = Scored(), stage.claim()
    with _predictor(context, champion) as predictor:
        pieces = _of_files(context, files, predictor) if files else _of_table(context, record, predictor)
        where = {"partition": partition, "source": source}
        rows = _table(pieces, predictor, done, champion, context.loop)
        published = context.lake.replace("scores", rows, where=where, fence=fence)
    if published.rows != done.rows:
        raise CountsError(
            "rows were lost on the way to the table",
            where=f"{context.loop.name} scores {partition}",
            expected=f"{done.rows} rows",
            found=str(published.rows),
        )
    _write_file(context, partition, source, target)
    return _done(stage, champion, published, done, source, target)


@contextmanager
def _predictor(context: StageContext, champion: ModelVersion) -> Iterator[Predictor]:
    from lakeloop.inference.predictor import Predictor
    from lakeloop.scratch.folder import passing_folder

    with passing_folder(context.settings.home, "score") as scratch:
        folder = context.lake.files.fetch(champion.folder_name, scratch / "model")
        yield Predictor(folder, threads=os.cpu_count() or 1, expect=champion.digest)


def _of_files(context: StageContext, files: Sequence[_File], predictor: Predictor) -> Iterator[list[Asked]]:
    from lakeloop.inference.rows_of_files import Columns, pieces_of

    columns = Columns.of(context.loop.task, context.loop.source.key)
    for file in files:
        yield from pieces_of(file.path, columns, predictor.description.reads, named=file.name)
        if FileState.of(file.path) != file.state:
            raise TransientError(
                "the file was written to while it was read",
                where=file.name,
                expected=f"sha256 {file.sha256[:12]} until the end",
                remedy="nothing was published; have it put there whole, under its name when it is",
            )


def _of_table(
    context: StageContext, record: StageRecord | None, predictor: Predictor
) -> Iterator[list[Asked]]:
    from lakeloop.inference.rows_of_lake import TableColumns, pieces_of_table

    table = str(context.loop.score.source)
    assert record is not None
    version = context.lake.version(table)
    context.require_as_recorded(table, record, version)
    columns = TableColumns.of(context.loop, table)
    batches = context.lake.scan(table, version=version, columns=columns.names, partition=record.partition)
    yield from pieces_of_table(batches, columns, predictor.description.reads)


def _table(
    pieces: Iterable[list[Asked]], predictor: Predictor, done: Scored, champion: ModelVersion, loop: LoopSpec
) -> pa.RecordBatchReader:
    import pyarrow as pa

    from lakeloop.inference.scoring import answers
    from lakeloop.lake.tables import SCORED

    below = loop.deploy.abstain.threshold(champion.card.thresholds)
    made = answers(predictor, pieces, done, version=champion.name, most=loop.score.top, below=below)
    return pa.RecordBatchReader.from_batches(SCORED, made)


def _done(
    stage: StageSession,
    champion: ModelVersion,
    published: Published,
    done: Scored,
    source: str,
    target: Path | None,
) -> StageRecord:
    metrics = {
        "score/rows": float(done.rows),
        "score/answered": float(done.answered),
        "score/abstained": float(done.abstained),
        "score/not_asked": float(done.not_asked),
        "score/rows_per_second": done.rate,
    }
    stage.tracker.log(metrics)
    told = f"; {done.not_asked} could not be asked and say why" if done.not_asked else ""
    return stage.done(
        reason=f"{done.sentence(champion.name)}{told}",
        outputs={
            "scores": published.digest,
            "scores_version": str(published.version),
            "source": source,
            "version": champion.name,
            "digest": champion.digest,
            **({"to": str(target)} if target else {}),
        },
        metrics=metrics,
        examples=done.faults,
    )


def source_name(source: str) -> str:
    """What column `source` of table `scores` calls a source: a table by its name, a path by its letters."""
    if source in OF_THE_LAKE:
        return source
    letters = re.sub(r"[^A-Za-z0-9.]+", "-", source).strip("-.").replace("..", "-")[:60]
    return f"files-{letters}-{sha256(source.encode()).hexdigest()[:8]}"


def _target(context: StageContext, partition: str) -> Path | None:
    """The confined path of the file that the answers are written to besides.

    Raises:
        ConfigurationError: it leads out of the allowed folders, or is a file that no scoring wrote.
    """
    if context.loop.score.to is None:
        return None
    target = confine(context.loop.score.to.replace(DAY_IN_PATH, partition), context.settings, SCORE_TO)
    if target.exists() and not _is_ours(target):
        raise ConfigurationError(
            "there is another file",
            where=SCORE_TO,
            expected="a name that is free, or a file that a scoring wrote",
            found=str(target),
            remedy="name another, or move it away",
        )
    return target


def _is_ours(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lakeloop.lake.tables import PLAIN, SCORED

    try:
        names = pq.read_schema(path).names
        return names in (SCORED.names, [name for name in SCORED.names if name not in PLAIN.names])
    except (pa.ArrowException, OSError):
        return False


def _write_file(
    context: StageContext, partition: str, source: str, target: Path | None, *, only_missing: bool = False
) -> None:
    """Write the rows of the table to the file that is asked for."""
    from lakeloop.inference.scoring import new_table
    from lakeloop.lake.tables import SCORED

    if target is None or (only_missing and target.exists()):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        scan = context.lake.scan("scores", columns=SCORED.names, partition=partition, source=source)
        rows = stack.enter_context(scan)
        writer = stack.enter_context(new_table(target, SCORED))
        for batch in rows:
            writer.write_batch(batch)
