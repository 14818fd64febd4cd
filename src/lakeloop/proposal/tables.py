"""A Delta table that a person points at: its folder, here or in an object store."""

from __future__ import annotations

from lakeloop.errors import DataError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.places import from_here, shown
from lakeloop.proposal.sample import MOST_BYTES, MOST_RECORDS, Sample
from lakeloop.sources.delta import Snapshot, open_snapshot
from lakeloop.sources.objects.credentials import access_to
from lakeloop.sources.objects.store import Bucket
from lakeloop.spec.address import SCHEMES, is_address, parts_of
from lakeloop.spec.columns import ColumnType

_LOG = "_delta_log"
_FEW_ROWS = 2_000


def look(pointer: Pointer) -> Given | None:
    """The rows of a table's newest version; None where something else than a Delta table is meant.

    Raises:
        ConfigurationError: it needs a newer reader, or is where loops may not read, or no such connection.
        DataError: it is empty.
        ServiceError: the store is away.
    """
    if is_address(pointer.text):
        if parts_of(pointer.text)[0] not in SCHEMES or not _in_store(pointer):
            return None
        table = pointer.text.rstrip("/")
    else:
        folder = from_here(pointer.text, pointer.settings)
        if not pointer.text or not (folder / _LOG).is_dir():
            return None
        table = shown(folder, pointer.settings)
    snapshot = open_snapshot(table, pointer.connection, pointer.settings)
    keys = {"kind": "delta", "table": table}
    if pointer.connection:
        keys["connection"] = pointer.connection
    return Given(
        table,
        f"a Delta table, version {snapshot.table.version()}",
        keys,
        _sample(snapshot, table),
        says_day=False,
        notes={"table": "its newest version; `version: N` stays with one"},
    )


def _in_store(pointer: Pointer) -> bool:
    if any(sign in pointer.text for sign in "*?{"):
        return False
    access = access_to(pointer.text, pointer.connection, pointer.settings)
    folder = parts_of(pointer.text)[2].strip("/")
    return bool(Bucket(pointer.text, access).below(f"{folder}/{_LOG}".lstrip("/"), deep=False))


def _sample(snapshot: Snapshot, table: str) -> Sample:
    rows, size, whole = list[dict[str, object]](), 0, True
    for batch in snapshot.rows.to_batches(batch_size=_FEW_ROWS, batch_readahead=1, fragment_readahead=1):
        if len(rows) >= MOST_RECORDS or size > MOST_BYTES:
            whole = False
            break
        rows += batch.to_pylist()
        size += batch.nbytes
    if not rows:
        raise DataError("an empty table", where=table, expected="rows")
    # A text says a day where every value is one: what else is a text stays one.
    types: dict[str, ColumnType] = {}
    for name in snapshot.rows.schema.names:
        texts = [value for row in rows if isinstance(value := row[name], str)]
        if texts and not all(len(text) == len("2026-11-20") and text[:4].isdecimal() for text in texts):
            types[name] = "string"
    return Sample(None, tuple(rows[:MOST_RECORDS]), tuple(snapshot.rows.schema.names), whole, types=types)
