"""One delivery to the rows of `raw` and `quarantine`, with counts that add up. Publishing is the stage's.

The rows wait on the local disk (`spool`) until all is read and the counts are proved; then they are handed on
as a stream. In memory are a few batches, the marks of a million rows (`repeats`), and a byte a row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakeloop.errors import CountsError
from lakeloop.lake.digest import row_hashes
from lakeloop.lake.marks import MarkedDigest, column_marks, marks_of
from lakeloop.lake.tables import QUARANTINE, raw_schema
from lakeloop.records import Counts
from lakeloop.sources.base import Block, Delivery, row_schema
from lakeloop.sources.rejects import NOTHING, EmptyLines, Reason, Reject
from lakeloop.sources.repeats import Repeats
from lakeloop.sources.spool import Spool, gathered
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import plain

SHOWN_REJECTS = 50
_SHOWN_CHARACTERS = 120
_MARKS = pa.schema([(" first", pa.uint64()), (" second", pa.uint64())])
"""Columns of the spool; no column of a user begins with a blank."""


@dataclass(frozen=True)
class Shown:
    """A quarantined record as a message shows it: each text on one line, without control characters."""

    file: str
    line: int
    reason: str
    column: str | None
    detail: str
    raw: str
    """The beginning of the record."""

    @classmethod
    def of(cls, reject: Reject, file: str) -> Self:
        """A rejected record of the file `file`."""
        column = None if reject.column is None else plain(reject.column)
        detail, raw = plain(reject.detail, _SHOWN_CHARACTERS), plain(reject.raw, _SHOWN_CHARACTERS)
        return cls(file, reject.line, str(reject.reason), column, detail, raw)


@dataclass(frozen=True)
class Intake:
    """A delivery, read: the rows of tables `raw` and `quarantine`, and what became of every record.

    To be closed (`with`): the rows lie in files until then.
    """

    counts: Counts
    reasons: dict[str, int]
    """Reason code -> quarantined records, most frequent first."""
    repeated_keys: int
    """Rows whose key was there before in this delivery with other content; they are accepted."""
    undeclared: dict[str, int]
    """Field that the loop file does not declare -> good records that have it, most frequent first."""
    shown: tuple[Shown, ...]
    """The first quarantined records, `SHOWN_REJECTS` at most."""
    lines: int
    """Lines of the records; as many as records where a record is a line."""
    _raw: _RawRows = field(repr=False)
    _quarantine: Spool = field(repr=False)
    _files: ExitStack = field(repr=False)

    def raw(self) -> pa.RecordBatchReader:
        """The accepted rows in the order of the delivery, once; raises CountsError where one is missing."""
        schema = self._raw.schema
        return pa.RecordBatchReader.from_batches(schema, self._raw.batches(self.counts.accepted))

    def raw_digest(self) -> str:
        """The digest of the rows that `raw` has handed on so far."""
        return self._raw.digest.hexdigest()

    def quarantine(self) -> pa.RecordBatchReader:
        """The rejected records, in the order of the delivery, once."""
        return pa.RecordBatchReader.from_batches(QUARANTINE, gathered(self._quarantine.batches()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def read_delivery(delivery: Delivery, loop: LoopSpec, partition: str, folder: Path) -> Intake:
    """Read a delivery into files in `folder`. Of rows that are equal in all declared columns the first stays.

    Raises:
        CountsError: a record was lost or doubled.
        DataError: the delivery as a whole is not what is declared, such as another header.
        TransientError: the delivery changed while it was read.
    """
    source = loop.source
    with ExitStack() as stack:
        rows = stack.enter_context(Spool(pa.schema([*row_schema(source), *_MARKS]), folder))
        quarantine = stack.enter_context(Spool(QUARANTINE, folder))
        tally, files = _Tally(), _Files(delivery.name)
        looked_at = _LookedAt(source)
        blocks = tally.counted(_quarantining(files.noted(delivery.blocks()), quarantine, partition))
        for batch in gathered(block.rows for block in blocks):
            rows.append(looked_at.marked(batch))
        delivery.require_unchanged()
        repeated = looked_at.repeated(rows)
        duplicates = int(repeated.sum())
        counts = Counts(
            read=tally.read,
            accepted=rows.rows - duplicates,
            quarantined=quarantine.rows,
            duplicates=duplicates,
        ).reconcile(f"{delivery.name} of {loop.name}")
        return Intake(
            counts=counts,
            reasons=dict(tally.reasons.most_common()),
            repeated_keys=looked_at.repeated_keys() - duplicates if source.key_column else 0,
            undeclared=dict(tally.undeclared.most_common()),
            shown=tuple(tally.shown),
            lines=tally.lines,
            _raw=_RawRows(rows, repeated, loop, files, partition),
            _quarantine=quarantine,
            _files=stack.pop_all(),
        )


class _LookedAt:
    """What is kept of each row while rows pass: by which marks it is known again, and its key."""

    def __init__(self, source: SourceBase) -> None:
        self.rows = Repeats()
        self._keys = Repeats()
        self._key = source.key_column
        self._declared = [column.stored for column in source.fields]
        self._others = [column.stored for column in source.fields if column != self._key]

    def marked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` with the columns `_MARKS`: the marks of each row by the declared columns."""
        marks = marks_of(batch, self._others)
        if self._key:
            key = column_marks(self._key.stored, batch[self._key.stored])
            self._keys.add(key)
            marks += key
        self.rows.add(marks)
        arrays = [*batch.columns, *map(pa.array, marks)]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([*batch.schema, *_MARKS]))

    def repeated(self, spool: Spool) -> npt.NDArray[np.bool_]:
        """For each row of `spool`, whether an equal one came before; by sha256 of those with equal marks."""
        repeated = np.zeros(spool.rows, np.bool_)
        places = self.rows.alike().places
        if not len(places):
            return repeated
        hashes, start = [], 0
        for batch in spool.batches():
            first, behind = np.searchsorted(places, (start, start + batch.num_rows))
            rows = batch.take(pa.array(places[first:behind] - start))
            hashes += [np.array(row_hashes(rows, self._declared), "S32")]
            start += batch.num_rows
        found = np.concatenate(hashes)
        order = np.argsort(found, kind="stable")
        repeated[places[order[1:][found[order[1:]] == found[order[:-1]]]]] = True
        return repeated

    def repeated_keys(self) -> int:
        """Rows whose key was there before."""
        keys = self._keys.alike()
        return len(keys.places) - keys.marks


@dataclass
class _Tally:
    """What is counted while blocks pass."""

    read: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    undeclared: Counter[str] = field(default_factory=Counter)
    shown: list[Shown] = field(default_factory=list)
    lines: int = 0

    def counted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for block in blocks:
            self.read += block.read
            self.undeclared.update(block.undeclared)
            if isinstance(block.rejects, EmptyLines):
                self.reasons[Reason.BLANK_LINE.value] += len(block.rejects)
            else:
                self.reasons.update(str(reject.reason) for reject in block.rejects)
            first = block.rejects[: SHOWN_REJECTS - len(self.shown)]
            self.shown += [Shown.of(reject, str(block.file)) for reject in first]
            self.lines += block.read if block.lines is None else block.lines
            yield block


class _Files:
    """Which file each row is from: runs of rows, in the order of the delivery."""

    def __init__(self, delivery: str) -> None:
        self.delivery = delivery
        self._runs: list[tuple[str, int]] = []
        """A file, and how many rows there are up to its end."""

    def noted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Hand `blocks` on, each with its file."""
        rows = 0
        for block in blocks:
            file = block.file or self.delivery
            rows += block.rows.num_rows
            if self._runs and self._runs[-1][0] == file:
                self._runs.pop()
            self._runs.append((file, rows))
            yield block if block.file else replace(block, file=file)

    def column(self, first: int, rows: int) -> pa.Array:
        """The files of `rows` rows from number `first` (from 0) on."""
        place, parts = first, [pa.array([], pa.string())]
        for file, end in self._runs[bisect_right(self._runs, first, key=itemgetter(1)) :]:
            upto = min(end, first + rows)
            parts.append(pa.repeat(pa.scalar(file, pa.string()), upto - place))
            if (place := upto) == first + rows:
                break
        return pa.concat_arrays(parts)


class _RawRows:
    """The rows of table `raw`: those that were read, without the repeated ones."""

    def __init__(
        self, spool: Spool, repeated: npt.NDArray[np.bool_], loop: LoopSpec, files: _Files, partition: str
    ) -> None:
        self.schema = raw_schema(loop)
        self.digest = MarkedDigest()
        self._spool = spool
        self._repeated = repeated
        self._files = files
        self._partition = partition
        self._declared = [column.stored for column in loop.source.fields]
        self._others = [name for name in self.schema.names if name not in self._declared]
        self._named_by_content = loop.source.key_from == "content"

    def batches(self, promised: int) -> Iterator[pa.RecordBatch]:
        place = given = 0
        for batch in self._spool.batches():
            repeated = self._repeated[place : place + batch.num_rows]
            rows = batch.append_column("source_file", self._files.column(place, batch.num_rows))
            place += batch.num_rows
            rows = rows.filter(pa.array(~repeated)) if repeated.any() else rows
            yield self._whole(rows)
            given += rows.num_rows
        if given != promised:
            raise CountsError(
                "rows that were read and accepted are not all there any more",
                where=self._files.delivery,
                expected=f"{promised} rows",
                found=f"{given} rows",
                remedy="no row was published; is the disk in order? Run it again",
            )

    def _whole(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The columns of `schema`; adds the rows to the digest."""
        marks = np.stack([rows[name].to_numpy() for name in _MARKS.names])
        hashes = pa.nulls(rows.num_rows, pa.string())
        if self._named_by_content:
            hashes = pa.array([value.hex() for value in row_hashes(rows, self._declared)], pa.string())
        rows = rows.append_column("row_hash", hashes)
        partition = pa.repeat(pa.scalar(self._partition, pa.string()), rows.num_rows)
        rows = rows.append_column("partition", partition).select(self.schema.names)
        self.digest.add(marks + marks_of(rows, self._others))
        return rows


def _quarantining(blocks: Iterable[Block], spool: Spool, partition: str) -> Iterator[Block]:
    """Hand `blocks` on; their rejects are put into `spool`."""
    for block in blocks:
        if block.rejects:
            spool.append(_quarantine_rows(block.rejects, str(block.file), partition))
        yield block


def _quarantine_rows(rejects: Sequence[Reject], source_file: str, partition: str) -> pa.RecordBatch:
    constants: dict[str, str | bool] = {
        "partition": partition,
        "stage": "ingest",
        "source_file": source_file,
        "readmitted": False,
    }
    columns: dict[str, Any]
    if isinstance(rejects, EmptyLines):
        numbers = np.arange(len(rejects))
        constants |= {"reason": Reason.BLANK_LINE.value, "detail": NOTHING, "raw": "", "raw_form": "line"}
        columns = {
            "source_line": pa.array(rejects.line + numbers),
            "byte_offset": pa.array(rejects.byte_offset + rejects.line_end * numbers),
            "column": pa.nulls(len(rejects), pa.string()),
            "row_key": pa.nulls(len(rejects), pa.string()),
        }
    else:
        columns = {
            "reason": [str(reject.reason) for reject in rejects],
            "detail": [reject.detail for reject in rejects],
            "column": [reject.column for reject in rejects],
            "source_line": [reject.line for reject in rejects],
            "byte_offset": [reject.byte_offset for reject in rejects],
            "raw": [reject.raw for reject in rejects],
            "row_key": [reject.row_key for reject in rejects],
            "raw_form": [reject.raw_form for reject in rejects],
        }
    for name, value in constants.items():
        columns[name] = pa.repeat(pa.scalar(value, QUARANTINE.field(name).type), len(rejects))
    return pa.RecordBatch.from_pydict(columns, QUARANTINE)
