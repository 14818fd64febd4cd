"""A long past for a loop, laid in seconds: what a lake, a ledger and a home are like after many days.

One day is run for real; all days before it are made from it. Parquet files of its rows are linked, not
written again (the day of a row is in the table's log and in the folder's name); records, claims and log
entries are the day's own with another day in them. Logs are as delta-rs and `maintain` leave them: a
checkpoint every hundred commits, the entries of the last thirty days, the records of each stage in one file,
and of claims those of thirty days. Records of stages that were not run (`monitor`, `maintain`, and each tenth
day a training) are those of `validate` under their names.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.ledger import _entry
from lakeloop.lake.tables import LEDGER
from lakeloop.lake.upkeep import tidy_table
from lakeloop.records import StageRecord

Log = Literal["kept", "whole", "unchecked"]
"""`kept`: as above; `whole`: nothing was deleted from the log yet, as after a backfill within a month;
`unchecked`: and there was never a checkpoint."""
PER_DAY = ("raw", "staging", "mart", "quarantine", "claims", "predictions", "observations", "feedback")
_CHECKPOINT = 100
_KEPT_DAYS = 30
_TRAINING_DAYS = 10
_TRAINING = ("dataset", "train-baseline", "train-finetune", "evaluate", "release")
"""Stages of a training, each tenth day; the others are of each day."""


@dataclass(frozen=True)
class Past:
    """Days before one that was run: `days` of them, oldest first, and how many ago."""

    lake: Path
    """Of the loop."""
    template: str
    """The day that was run."""
    days: int
    log: Log = "kept"

    @property
    def names(self) -> list[str]:
        """The days, oldest first."""
        last = date.fromisoformat(self.template)
        return [(last - timedelta(days=ago)).isoformat() for ago in range(self.days, 0, -1)]

    def lay(self) -> None:
        """Give all tables their past; the template day stays the newest."""
        for table in PER_DAY:
            _grow(self, table)
        _grow_ledger(self)
        _grow_corrections(self)


def lay_home(home: Path, loop: str, past: Past, drops: Path) -> None:
    """Journals, work folders and drops of the days before, by links to those of the template day."""
    for room in ("journals", "work"):
        for stage in sorted((home / room / loop).iterdir()):
            files = [path for path in (stage / past.template).iterdir() if path.is_file()]
            for day in past.names:
                folder = stage / day
                folder.mkdir()
                for file in files:
                    os.link(file, folder / file.name)
    for day in past.names:
        os.link(drops / f"{past.template}.jsonl", drops / f"{day}.jsonl")


def _grow(past: Past, table: str) -> None:
    folder = past.lake / table
    log = folder / "_delta_log"
    actions = [line for path in sorted(log.glob("*.json")) for line in _lines(path)]
    commits = [(found["commitInfo"], add) for found, add in _commits(actions)]
    if not commits:
        return
    created = _lines(log / f"{0:020d}.json")
    shutil.rmtree(log)
    log.mkdir()
    _write(log, 0, created)
    version = 0
    forgotten = table == "claims" and past.log == "kept"
    for day in [*(past.names[-_KEPT_DAYS:] if forgotten else past.names), past.template]:
        for info, add in commits:
            version += 1
            values = {**add["partitionValues"], "partition": day}
            place = "/".join(f"{name}={value}" for name, value in values.items())
            path = f"{place}/{Path(add['path']).name}"
            if day != past.template:
                (folder / place).mkdir(parents=True, exist_ok=True)
                os.link(folder / add["path"], folder / path)
            added = {**add, "path": path, "partitionValues": values}
            _write(log, version, [{"commitInfo": info}, {"add": added}])
    _finish(folder, version, len(commits) * _KEPT_DAYS, past.log)


def _finish(folder: Path, version: int, recent: int, kept: Log) -> None:
    """The checkpoint of the log, and what is deleted after one."""
    if kept == "unchecked":
        return
    last = version - version % _CHECKPOINT
    if last:
        DeltaTable(str(folder), version=last).create_checkpoint()
    if kept == "kept":
        for path in (folder / "_delta_log").glob("*.json"):
            if int(path.stem) < min(last, version - recent):
                path.unlink()


def _commits(actions: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each file that was added, with what its commit said of itself."""
    info: Mapping[str, Any] = {}
    for action in actions:
        info = action if "commitInfo" in action else info
        if "add" in action:
            yield info, action["add"]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _write(log: Path, version: int, actions: Sequence[Mapping[str, Any]]) -> None:
    text = "\n".join(json.dumps(action, separators=(",", ":")) for action in actions)
    (log / f"{version:020d}.json").write_text(text)


def _grow_ledger(past: Past) -> None:
    """Entries of all days, one file a stage as `maintain` leaves them; the template day's come last."""
    table = DeltaTable(str(past.lake / "ledger"))
    rows = table.to_pyarrow_table().sort_by("finished_at").to_pylist()
    there = {row["stage"]: StageRecord.model_validate_json(row["record"]) for row in rows}
    records = [*there.values(), *(_like(there["validate"], name) for name in ("monitor", "maintain"))]
    trainings = [_like(there["validate"], name) for name in _TRAINING]
    nothing = LEDGER.empty_table()
    for record in (*records, *trainings):
        daily = record in records
        days = past.names if daily else past.names[::_TRAINING_DAYS]
        entries = [_entry(f"{record.stage}-{day}", _of(record, day, past), nothing) for day in days]
        write_deltalake(table, pa.Table.from_pylist(entries, LEDGER), mode="append")
    tidy_table(DeltaStore(str(past.lake)), "ledger", timedelta(days=7))
    table.create_checkpoint()


def _like(record: StageRecord, stage: str) -> StageRecord:
    return record.model_copy(update={"stage": stage, "profile": "", "counts": None})


def _of(record: StageRecord, day: str, past: Past) -> StageRecord:
    """`record` as it would be of `day`, run on the morning after."""
    ago = timedelta(days=(date.fromisoformat(past.template) - date.fromisoformat(day)).days)
    by = record.provenance
    moved = by.model_copy(update={"started_at": by.started_at - ago, "finished_at": by.finished_at - ago})
    return record.model_copy(update={"partition": day, "provenance": moved})


def _grow_corrections(past: Past) -> None:
    """A record of every tenth day was mended."""
    table = DeltaTable(str(past.lake / "corrections"))
    schema = pa.schema(table.schema().to_arrow())
    rows = [
        {
            "sequence": number,
            "partition": day,
            "source_file": f"drops/{day}.jsonl",
            "source_line": 7,
            "stage": "validate",
            "drop": "sha256:" + "0" * 64,
            "before": "{}",
            "record": "{}",
            "why": "label was missing",
            "corrected_by": "ada",
            "digest": f"{number:064x}",
        }
        for number, day in enumerate(past.names[::10], start=1)
    ]
    write_deltalake(table, pa.Table.from_pylist(rows, schema), mode="append")
