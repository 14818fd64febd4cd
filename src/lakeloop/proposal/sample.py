"""The first records of some files as they stand there, whatever the files are: a bounded sample.

How a file is written is found from its bytes: packing, encoding, format, delimiter. What does not fit is
left to the readers of `lakeloop.sources`, which are the ones that count.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from lakeloop.errors import DataError
from lakeloop.proposal.either import named_days
from lakeloop.sources.packed import Limits, Packing, first_bytes, members, packing_of, unpack
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.quoting import plain

MOST_RECORDS = 20_000
MOST_BYTES = 32 << 20
_TASTE = 64 << 10
_DELIMITERS = ",;\t|"
_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")

FileFormat = Literal["csv", "jsonl", "parquet"]


@dataclass(frozen=True)
class Sample:
    """Some records, as they stand in their files."""

    format: FileFormat | None
    """None: they are of no file."""
    rows: tuple[dict[str, Any], ...]
    """Field -> value: text in CSV, else what JSON or Parquet has there. An empty field of CSV is None."""
    fields: tuple[str, ...]
    """All fields, in the order in which they come."""
    whole: bool
    """The sample is all there is."""
    encoding: str = "utf-8"
    delimiter: str = ","
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    """Field -> type, where the place itself says one; else it is found from the values."""
    named_days: tuple[date, ...] = ()
    """Days that the names of the files say."""
    has_numbers: bool = False
    """The place writes numbers as numbers: a string of digits is a name."""

    def values(self, field: str) -> list[Any]:
        """The values of a field that are there."""
        return [value for row in self.rows if (value := row.get(field)) is not None]


def take_sample(paths: Sequence[Path]) -> Sample:
    """The first records of `paths`, at most `MOST_RECORDS` of `MOST_BYTES`; of many files some of each.

    Raises:
        DataError: the first file holds no records that can be read, and what is there instead.
        OSError: one cannot be read.
    """
    samples = []
    share = max(MOST_RECORDS // len(paths), 200)
    for path in paths:
        samples.append(_sample_of(path, share))
        if sum(len(sample.rows) for sample in samples) >= MOST_RECORDS:
            break
    first = samples[0]
    rows = tuple(row for sample in samples if sample.format == first.format for row in sample.rows)
    fields = tuple(dict.fromkeys(field for sample in samples for field in sample.fields))
    whole = len(samples) == len(paths) and all(sample.whole for sample in samples)
    return replace(first, rows=rows, fields=fields, whole=whole, named_days=named_days(paths))


def _sample_of(path: Path, records: int) -> Sample:
    with path.open("rb", buffering=0) as file:
        stream = _unpacked(file, str(path))
        head = stream.read(_TASTE)
        if head.startswith(b"PAR1"):
            return _parquet(path, records)
        data = head + _read(stream, MOST_BYTES - len(head))
        cut = len(data) >= MOST_BYTES
    encoding, text = _decoded(data, str(path), cut=cut)
    if cut:  # not in the middle of a record
        text = text[: text.rfind("\n") + 1]
    start = text.lstrip()[:1]
    if not start:
        raise DataError("an empty file", where=str(path), expected="records")
    if start == "{":
        rows, whole = _json_rows(text, records, str(path))
        return Sample("jsonl", rows, _fields(rows), whole and not cut, encoding, has_numbers=True)
    if start == "[":
        raise DataError(
            "a JSON array",
            where=str(path),
            expected="JSON Lines: one object a line; or CSV with a header",
            remedy=f"write it so: jq -c '.[]' {path.name} > {path.stem}.jsonl",
        )
    return _csv(text, records, encoding, str(path), cut=cut)


def _unpacked(file: io.FileIO, where: str) -> BinaryIO:
    packing = packing_of(first_bytes(file), where)
    if packing is Packing.NONE:
        return cast("BinaryIO", file)
    if packing is Packing.ZIP:
        return next(iter(members(file, where, Limits(), _SUFFIXES)))[1]
    return unpack(file, packing, where, Limits())


def _read(stream: BinaryIO, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size and (part := stream.read(min(1 << 20, size - len(parts)))):
        parts += part
    return bytes(parts)


def _decoded(data: bytes, where: str, *, cut: bool) -> tuple[str, str]:
    """Encoding and text: UTF-8, or UTF-16 where it says so, or else the one of Windows in the West."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", data.decode("utf-16", errors="replace")
    for back in range(4 if cut else 1):  # the last character may be cut
        try:
            return "utf-8", data[: len(data) - back].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    if b"\0" in data[:_TASTE]:
        found = plain(repr(data[:8]))
        raise DataError("not a text", where=where, expected="CSV, JSON Lines or Parquet", found=found)
    if sum(byte >= 0x80 for byte in data[:_TASTE]) > len(data[:_TASTE]) // 2:
        return "utf-8", data.decode("utf-8", errors="replace")
    return "cp1252", data.decode("cp1252", errors="replace")


def _json_rows(text: str, records: int, where: str) -> tuple[tuple[dict[str, Any], ...], bool]:
    rows = []
    lines = iter(text.split("\n"))
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
        if len(rows) == records:
            break
    if not rows:
        raise DataError("no object in it", where=where, expected="JSON Lines: one object a line")
    return tuple(rows), next(lines, None) is None


def _csv(text: str, records: int, encoding: str, where: str, *, cut: bool) -> Sample:
    delimiter = max(_DELIMITERS, key=lambda each: _fit(text[:_TASTE], each))
    reader = _records(text, delimiter)
    header = next(reader, [])
    rows = [
        dict(zip(header, (field or None for field in fields), strict=True))
        for fields in itertools.islice(reader, records)
        if len(fields) == len(header)
    ]
    if not rows or len(set(header)) != len(header) or not all(name.strip() for name in header):
        raise DataError(
            "no records that can be read",
            where=where,
            expected="CSV with a header of different names; JSON Lines; or Parquet",
            found=f"{len(rows)} record(s) below {plain(', '.join(header), 200)}",
        )
    return Sample(
        "csv", tuple(rows), tuple(header), next(reader, None) is None and not cut, encoding, delimiter
    )


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(MOST_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue
        if record:
            yield record


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """How well a delimiter fits: the share of records with as many fields as the header, then that number."""
    records = list(itertools.islice(_records(text, delimiter), 200))[:-1] or [[]]
    wide = len(records[0])
    alike = sum(len(record) == wide for record in records) / len(records)
    return (alike if wide > 1 else 0.0, wide)


def _parquet(path: Path, records: int) -> Sample:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        batch = next(file.iter_batches(batch_size=records), None)
    except (pa.ArrowException, OSError) as error:
        found = str(error).splitlines()[0]
        raise DataError("cannot be read as Parquet", where=str(path), found=found) from error
    if batch is None:
        raise DataError("an empty file", where=str(path), expected="records")
    rows = tuple(batch.to_pylist())
    whole = len(rows) == file.metadata.num_rows
    return Sample("parquet", rows, tuple(file.schema_arrow.names), whole, has_numbers=True)


def _fields(rows: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field for row in rows for field in row))
