"""What a source is: it finds the delivery of a day, or says why there is none. A delivery yields blocks.

The kinds of sources are in `registry`. What becomes of the rows is the business of `intake`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import pyarrow as pa

from lakeloop.errors import CountsError
from lakeloop.lake.tables import given_columns
from lakeloop.sources.again import RawRecord
from lakeloop.sources.rejects import Reject
from lakeloop.spec.contract import SourceBase


@dataclass(frozen=True)
class Block:
    """Some consecutive records of a delivery, as they were read.

    Raises:
        CountsError: rows and rejects are not as many as the records read; a defect of the reader.
    """

    rows: pa.RecordBatch
    """The good records, with the columns of `row_schema`."""
    rejects: Sequence[Reject]
    """The bad records: a tuple, or empty lines."""
    read: int
    """How many records were read."""
    undeclared: Mapping[str, int] = field(default_factory=dict)
    """Field that the loop file does not declare -> good records that have it."""
    file: str | None = None
    """The file that the records are from, as rows refer to it; None: the delivery, by its name."""
    lines: int | None = None
    """How many lines these records have; None where a record is a line, or where there are no lines."""

    def __post_init__(self) -> None:
        if self.rows.num_rows + len(self.rejects) != self.read:
            raise CountsError(
                "rows and rejected records are not the records read",
                expected=f"{self.read} records",
                found=f"{self.rows.num_rows} rows + {len(self.rejects)} rejected",
                remedy="nothing was published; this is a defect of the reader, report it with the data",
            )


class Delivery(Protocol):
    """The rows of one day, as a source has them at this moment."""

    @property
    def name(self) -> str:
        """What people call the delivery, the same on every machine.

        Rows refer to it (column `source_file`) where their block names no file.
        """

    @property
    def identity(self) -> str:
        """What the rows are made of, `<kind>:<value>`: sha256 of a file; version of a table, ETag, query.

        Equal identities are equal rows: a day that was published from this identity is not read again.
        """

    @property
    def where(self) -> str:
        """A path or an address at which a person can look at the delivery."""

    def blocks(self) -> Iterator[Block]:
        """Read the delivery once, with the memory of a block whatever its size.

        Raises:
            DataError: the delivery as a whole is not what the loop file declares, such as another header.
        """

    def require_unchanged(self) -> None:
        """Prove, once all blocks were read, that they were the rows that `identity` names.

        Raises:
            TransientError: the delivery changed while it was read.
        """


@runtime_checkable
class Rereadable(Protocol):
    """A delivery of text, whose records can be had again as they stand in it."""

    def records_at(self, lines: Mapping[str, Collection[int]]) -> Iterator[tuple[str, RawRecord]]:
        """Read the delivery again; `require_unchanged` afterwards proves that it was still the same.

        Args:
            lines: file, as rows refer to it -> the numbers of lines at which records begin.

        Returns:
            File and record. What has no text, such as a Parquet file, gives none.
        """


class Source(Protocol):
    """Where a loop's rows come from."""

    replays: bool
    """Deliveries are whole from the beginning, also those of days that are not over."""

    @property
    def place(self) -> str:
        """What the source reads, as the loop file calls it."""

    def find(self, partition: str) -> Delivery | None:
        """The delivery of the day `partition` (YYYY-MM-DD); None when there is none."""

    def glance(self, partition: str) -> str | None:
        """What the delivery of the day looks like from outside, cheaply: size and times of a file, an ETag.

        Equal glances are the same delivery, with the identity that it had; another glance may be. None when
        there is none, and for deliveries that only `find` can tell apart or that never change.
        """

    def unread_bytes(self) -> int | None:
        """What must be split or fetched before the first record of a day is seen, without doing it.

        0: a day is read from its beginning. None: what is elsewhere, and of any size.
        """

    def absence(self, partition: str) -> str:
        """A sentence on why there is no delivery for this day: what was looked for, and where."""

    def partitions(self) -> list[str]:
        """The days that have a delivery, oldest first, as names tell; no delivery is opened.

        Empty when there is none, and when the place cannot be read: `find` says what is wrong there.
        """


@runtime_checkable
class Emptying(Protocol):
    """A source whose files have many days: one can lose all its records to another, and the files stay."""

    def emptied(self, partition: str, files: Collection[str]) -> Delivery | None:
        """The delivery, without a record, of a day whose records were in `files`, as rows refer to them.

        None while the day has records, and where one of the files is gone: a file that is taken away says
        nothing of its rows.
        """


@runtime_checkable
class Keeping(Protocol):
    """A source whose `find` is dear, and which keeps for a while what it found."""

    def kept(self, partition: str, identity: str) -> Delivery | None:
        """The delivery of the day that has this identity; None when it is not kept any more."""


def found_again(source: Source, partition: str, identity: str) -> Delivery | None:
    """The delivery of the day when it is still the one with this identity; else None.

    Raises:
        LakeloopError: as `Source.find` does.
    """
    if isinstance(source, Keeping):
        return source.kept(partition, identity)
    delivery = source.find(partition)
    return delivery if delivery is not None and delivery.identity == identity else None


def row_schema(source: SourceBase) -> pa.Schema:
    """The schema of `Block.rows`: the declared columns, typed, under their stored names; `source_line`.

    `undeclared_fields` is there when the source keeps them. `source_line` is the number of the record's
    line in its file, from 1; where there are no lines, its position.
    """
    return pa.schema([*given_columns(source), ("source_line", pa.int64())])
