"""Keeping the lake small: many small files become few, and what no version needs any more is deleted.

Nothing that a reader may still have pinned is touched: deleted is only what left the table longer ago than
the retention. Rows and digests stay the same. When this runs is decided in `lakeloop.stages.watch.maintain`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from deltalake import WriterProperties
from deltalake.exceptions import CommitFailedError
from pyarrow.fs import FileType

from lakeloop.durable import fsync_tree
from lakeloop.lake.delta import DeltaStore
from lakeloop.records import now

_LEFTOVER = re.compile(r"\.parquet#\d+$|^\..+\.tmp$")
"""Names of files and folders that a killed writer leaves: delta-rs's staging files, `LakeFiles`' copies."""

_ENTRIES = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=512)
"""Of the ledger: asked for are the entries of a day, and a group of rows is the least that is read."""


@dataclass(frozen=True)
class Tidied:
    """What was done to one table."""

    table: str
    compacted: int
    """Small files that were replaced by larger ones."""
    deleted: int
    """Files that no version within the retention needs."""
    busy: bool = False
    """Another process wrote at the same moment; compaction is left to the next time."""


def tidy_table(store: DeltaStore, table: str, retention: timedelta) -> Tidied:
    """Compact `table`, and delete files that left it longer ago than `retention`; durable when it returns."""
    snapshot = store.open(table)
    compacted, busy = 0, False
    written = _ENTRIES if table == "ledger" else None
    try:
        compacted = int(snapshot.optimize.compact(writer_properties=written)["numFilesRemoved"])
    except CommitFailedError:
        busy = True
    if compacted and store.local:
        fsync_tree(store.local / table)
    return Tidied(table, compacted, _vacuum(store, table, retention), busy)


def _vacuum(store: DeltaStore, table: str, retention: timedelta) -> int:
    """Delete files, and return how many; without any, the table gets no new version."""
    snapshot = store.open(table)
    hours = int(retention / timedelta(hours=1))
    # Full: files of killed writers are in no version, so that the short way would never find them.
    # Not enforced: the table's own limit is the default of `retention`, and the caller's choice counts.
    listed = snapshot.vacuum(hours, full=True, enforce_retention_duration=False)
    # Files that an earlier vacuum deleted are listed as long as the log names them.
    found = store.files(table).get_file_info([unquote(name) for name in listed])
    if not (present := [file for file in found if file.type is not FileType.NotFound]):
        return 0
    snapshot.vacuum(hours, dry_run=False, full=True, enforce_retention_duration=False)
    return len(present)


def tidy_tables(store: DeltaStore, tables: Iterable[str], retention: timedelta) -> list[Tidied]:
    """`tidy_table` for each of `tables`, in their order."""
    return [tidy_table(store, table, retention) for table in tables]


def remove_leftovers(store: DeltaStore, retention: timedelta) -> list[str]:
    """Delete what killed writers left behind longer ago than `retention`; returns the names.

    Only on a local disk: elsewhere an object is there whole or not at all.
    """
    if store.local is None:
        return []
    oldest = (now() - retention).timestamp()
    removed = []
    for path in sorted(store.local.rglob("*")):
        if _LEFTOVER.search(path.name) and path.exists() and path.stat().st_mtime < oldest:
            removed.append(path.relative_to(store.local).as_posix())
            _remove(path)
    return removed


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
