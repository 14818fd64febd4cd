"""One delivery to the rows of `raw` and `quarantine`, with counts that add up. Publishing is the stage's.

Rows go into a draft of the table while they are read (`accepted`), bad records wait on the local disk
(`spool`); both are published when all is read and the counts are proved. Memory is that of a few batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from lakeloop.lake.tables import QUARANTINE
from lakeloop.records import Counts
from lakeloop.sources.accepted import Accepted, Rows
from lakeloop.sources.base import Block, Delivery
from lakeloop.sources.rejects import NOTHING, EmptyLines, Reason, Reject
from lakeloop.sources.spool import Spool, gathered
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import plain

SHOWN_REJECTS = 50
_SHOWN_CHARACTERS = 120


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
    """A delivery, read: the rows of table `quarantine`, and what became of every record.

    To be closed (`with`): the rows lie in a file until then.
    """

    counts: Counts
    reasons: dict[str, int]
    """Reason code -> quarantined records, most frequent first."""
    repeated_keys: int
    """Rows whose key was there before in this delivery with other content; they are accepted."""
    undeclared: dict[str, int]
    """Field that the loop file does not declare -> good records that have it, most frequent first."""
    empty: tuple[str, ...]
    """Columns, as the files call them, that have no value in any row; none where there are no rows."""
    shown: tuple[Shown, ...]
    """The first quarantined records, `SHOWN_REJECTS` at most."""
    lines: int
    """Lines of the records; as many as records where a record is a line."""
    raw_digest: str
    """Of the rows of table `raw`."""
    _quarantine: Spool = field(repr=False)
    _files: ExitStack = field(repr=False)

    def quarantine(self) -> pa.RecordBatchReader:
        """The rejected records, in the order of the delivery, once."""
        return pa.RecordBatchReader.from_batches(QUARANTINE, gathered(self._quarantine.batches()))

    def with_duplicates(self, more: int) -> Self:
        """The same, with some more records that were equal to one before."""
        counts = self.counts
        added = {"read": counts.read + more, "duplicates": counts.duplicates + more}
        return replace(self, counts=counts.model_copy(update=added)) if more else self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()


def read_delivery(
    delivery: Delivery, loop: LoopSpec, partition: str, folder: Path, raw: Rows, stage: str = "ingest"
) -> Intake:
    """Read a delivery, its rows into `raw`. Of rows that are equal in all declared columns the first stays.

    What else is kept of it lies in files in `folder`. `stage` is the one that reads, for table quarantine.

    Raises:
        CountsError: a record was lost or doubled.
        DataError: the delivery as a whole is not what is declared, such as another header.
        TransientError: the delivery changed while it was read.
    """
    with ExitStack() as stack:
        quarantine = stack.enter_context(Spool(QUARANTINE, folder))
        tally = _Tally({column.stored for column in loop.source.fields})
        with Accepted(raw, loop, partition, folder) as rows:
            blocks = tally.counted(_quarantining(_named(delivery), quarantine, partition, stage))
            for file, of_file in groupby(blocks, lambda block: str(block.file)):
                for batch in gathered(block.rows for block in of_file):
                    rows.add(batch, file)
            delivery.require_unchanged()
            rows.settle()
        counts = Counts(
            read=tally.read,
            accepted=raw.rows,
            quarantined=quarantine.rows,
            duplicates=rows.duplicates,
        ).reconcile(f"{delivery.name} of {loop.name}")
        return Intake(
            counts=counts,
            reasons=dict(tally.reasons.most_common()),
            repeated_keys=rows.repeated_keys(),
            undeclared=dict(tally.undeclared.most_common()),
            empty=tuple(column.found for column in loop.source.fields if column.stored in tally.empty),
            shown=tuple(tally.shown),
            lines=tally.lines,
            raw_digest=rows.digest(),
            _quarantine=quarantine,
            _files=stack.pop_all(),
        )


def _named(delivery: Delivery) -> Iterator[Block]:
    """The blocks of a delivery, each with its file."""
    for block in delivery.blocks():
        yield block if block.file else replace(block, file=delivery.name)


@dataclass
class _Tally:
    """What is counted while blocks pass."""

    without_value: set[str]
    """Columns of which no row had a value yet."""
    read: int = 0
    rows: int = 0
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
            self.rows += len(block.rows)
            if self.without_value and len(block.rows):
                self.without_value -= {
                    name for name in self.without_value if block.rows[name].null_count < len(block.rows)
                }
            yield block

    @property
    def empty(self) -> set[str]:
        return self.without_value if self.rows else set()


def _quarantining(blocks: Iterable[Block], spool: Spool, partition: str, stage: str) -> Iterator[Block]:
    """Hand `blocks` on; their rejects are put into `spool`."""
    for block in blocks:
        if block.rejects:
            spool.append(_quarantine_rows(block.rejects, str(block.file), partition, stage))
        yield block


def _quarantine_rows(
    rejects: Sequence[Reject], source_file: str, partition: str, stage: str
) -> pa.RecordBatch:
    constants: dict[str, str | bool] = {
        "partition": partition,
        "stage": stage,
        "source_file": source_file,
    }
    columns: dict[str, Any]
    if isinstance(rejects, EmptyLines):
        numbers = np.arange(len(rejects))
        constants |= {"reason": Reason.BLANK_LINE.value, "detail": NOTHING, "raw": "", "raw_form": "line"}
        constants["readmitted"] = False
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
            "readmitted": [reject.readmitted for reject in rejects],
        }
    for name, value in constants.items():
        columns[name] = pa.repeat(pa.scalar(value, QUARANTINE.field(name).type), len(rejects))
    return pa.RecordBatch.from_pydict(columns, QUARANTINE)
