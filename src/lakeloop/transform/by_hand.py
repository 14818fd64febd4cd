"""The dbt project as a person runs it: any command of dbt, in the project's folder, on a day of the lake.

A DuckDB file below the home has the source of each loop as the stage `transform` would hand it over: a view
on the files of the lake, where these are on a local disk, else a copy. It is made anew when the day, the rows
or the loop file are others, and nothing else reads it: whatever is done to it, no loop publishes any of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import raw_schema
from lakeloop.records import StageRecord, fingerprint
from lakeloop.scratch.duckdb import open_duckdb
from lakeloop.settings import Settings, get_settings, protect_home
from lakeloop.spec.days import require_day
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_named, loop_names
from lakeloop.transform.models import BY_HAND, Models, generated, own_folder, write_models
from lakeloop.transform.source import hand_over, roles

_DATABASE = "transform.duckdb"
_STATE = "of.sha256"
_MARK = "generated-by-lakeloop"
"""File that says that a folder of models is ours, to be written over and removed."""


@dataclass(frozen=True)
class _Source:
    """What dbt is given of one loop."""

    loop: LoopSpec
    lake: Lake
    ingested: StageRecord | None
    """What ingest left of the day; None where the loop has no such day."""
    version: int = 0
    """Of table raw."""


def put_generated(project: Path) -> None:
    """Write the models of loops without models of their own to generated/ of the dbt project.

    Only in the project of this installation. A loop whose file is wrong is left out, and said.
    """
    settings = _installation(project)
    if settings is None:
        return
    folder = settings.dbt / BY_HAND
    kept = set()
    for loop in _loops(settings):
        if own_folder(settings.dbt, loop.name) is None:
            kept.add(loop.name)
            write_models(Models(loop.name, generated(loop), generated=True), folder)
            (folder / loop.name / _MARK).touch()
    for mark in folder.glob(f"*/{_MARK}"):
        if mark.parent.name not in kept:
            shutil.rmtree(mark.parent)


def prepare(project: Path, day: str, *, build: bool) -> Path:
    """The DuckDB file with the sources of all loops, of `day` or of the newest day of each.

    With `build` a file that was made anew also gets the models, so that they can be tested and shown at once.

    Raises:
        ConfigurationError: `project` is not that of this installation, or `day` is no day.
        DataError: no loop has the day, or any.
    """
    settings = _installation(project)
    if settings is None:
        raise ConfigurationError(
            "this is not the dbt project of a Lakeloop project, so it has no lake",
            where=str(project.resolve()),
            remedy="run dbt in the folder dbt/ of one, or set LAKELOOP_ROOT; or name a DuckDB file with the"
            " sources in LAKELOOP_DUCKDB",
        )
    protect_home(settings)
    if day:
        require_day(day, where="day")
    sources = [_source(settings, loop, day) for loop in _loops(settings)]
    _require_some(settings, sources, day)
    file, state = settings.by_hand / _DATABASE, settings.by_hand / _STATE
    wanted = fingerprint(sources=[_identity(source) for source in sources])
    with suppress(OSError):
        if file.exists() and state.read_text() == wanted:
            return file
    _make(file, sources)
    if build:
        _build(settings, file)
    write_atomically(state, wanted)
    return file


def _installation(project: Path) -> Settings | None:
    """The settings of the project whose dbt project this is; None for any other one."""
    root = os.environ.get("LAKELOOP_ROOT")
    try:
        settings = get_settings(root=Path(root) if root else project.resolve().parent)
    except ConfigurationError:
        return None
    return settings if settings.dbt.resolve() == project.resolve() else None


def _loops(settings: Settings) -> list[LoopSpec]:
    found = []
    for name in loop_names(settings):
        try:
            found.append(load_named(name, settings))
        except ConfigurationError as error:
            _say(f"loop {name} is left out: {error}")
    return found


def _source(settings: Settings, loop: LoopSpec, day: str) -> _Source:
    lake = Lake.from_settings(settings, loop)
    try:
        newest = day or lake.ledger.newest_day("ingest")
        ingested = lake.ledger.latest("ingest", newest, "done") if newest else None
        return _Source(loop, lake, ingested, lake.version("raw") if ingested else 0)
    except ConfigurationError:  # it has no tables
        return _Source(loop, lake, None)


def _require_some(settings: Settings, sources: Sequence[_Source], day: str) -> None:
    there = [source for source in sources if source.ingested]
    for source in sources:
        if there and source not in there:
            what = f"no day {day}" if day else "no day yet"
            _say(f"{source.loop.name} has {what} in the lake: its models are built of no rows")
    if there:
        return
    newest = {source.loop.name: _newest(source) for source in sources} if day else {}
    raise DataError(
        f"no loop has the day {day} in the lake" if day else "no loop has a day in the lake yet",
        where=settings.lake,
        found=", ".join(f"{loop} up to {last}" for loop, last in newest.items() if last) or "no day",
        remedy=f"lakeloop ingest LOOP{f' --partition {day}' if day else ''}, or make demo",
    )


def _newest(source: _Source) -> str | None:
    try:
        return source.lake.ledger.newest_day("ingest")
    except ConfigurationError:
        return None


def _identity(source: _Source) -> dict[str, Any]:
    record = source.ingested
    return {
        "loop": source.loop.name,
        "roles": roles(source.loop),
        "day": record.partition if record else "",
        "raw": record.outputs["raw"] if record else "",
        "version": source.version,
    }


def _make(file: Path, sources: Sequence[_Source]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{os.getpid()}") / file.name  # the stem is part of the names in it
    shutil.rmtree(new.parent, ignore_errors=True)
    new.parent.mkdir()
    try:
        with open_duckdb(new) as connection:
            for source in sources:
                _hand_over(connection, source)
        new.replace(file)
    finally:
        shutil.rmtree(new.parent, ignore_errors=True)


def _hand_over(connection: duckdb.DuckDBPyConnection, source: _Source) -> None:
    record = source.ingested
    if record is None:
        hand_over(connection, source.loop, raw_schema(source.loop).empty_table())
        return
    pinned: Any = {"version": source.version, "partition": record.partition}
    rows = source.lake.row_files("raw", **pinned) or source.lake.scan("raw", **pinned)
    read = hand_over(connection, source.loop, rows)
    _say(f"{source.loop.name}: {read:,} raw rows of {record.partition}")


def _build(settings: Settings, file: Path) -> None:
    """Build all models, in a dbt of its own; what fails there fails again for the person who needs it."""
    _say("the models are built first")
    folder = settings.by_hand / "target"
    arguments = [
        "run", "--project-dir", str(settings.dbt), "--profiles-dir", str(settings.dbt), "--quiet",
        "--target-path", str(folder), "--log-path", str(folder), "--no-send-anonymous-usage-stats",
    ]  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", *arguments],
        env={**os.environ, "LAKELOOP_DUCKDB": str(file)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        _say(f"not all models could be built: see dbt build\n{ended.stdout.strip()}")


def _say(words: str) -> None:
    """Tell the person beside what dbt says, whose own output may be read by a program."""
    print(f"lakeloop: {words}", file=sys.stderr)  # noqa: T201
