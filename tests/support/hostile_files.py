"""Malformed files by a seeded script, and what becomes of each: the page `docs/hostile-files.md`.

`python -m tests.support.hostile_files` writes the page; a test holds it to what the reader does.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakeloop.durable import sha256_file
from lakeloop.errors import LakeloopError
from lakeloop.records import Counts
from lakeloop.sources.base import Block
from lakeloop.sources.child import ChildLimits, Job, blocks_from_child
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.packed import Limits
from lakeloop.spec.contract import SourceBase
from tests.support.small_loop import small_loop
from tests.support.taken import taken

PAGE = Path(__file__).resolve().parents[2] / "docs/hostile-files.md"
SEEDS = 5
ROWS = 40
_DAY = "2026-11-16"
_LIMITS = Limits(bytes=256 << 20, ratio=200)
_CHILD = ChildLimits(memory=1 << 30, seconds=60, cpu_seconds=60)
_COLUMNS = {
    "id": "string",
    "text": "string",
    "label": "string",
    "n": "integer",
    "x": "number",
    "at": "timestamp",
}


def _records() -> list[dict[str, object]]:
    return [
        {
            "id": f"k{n}",
            "text": f'words, "{n}" é 北',
            "label": "tech",
            "n": n,
            "x": n / 8,
            "at": f"{_DAY}T08:30:00Z",
        }
        for n in range(ROWS)
    ]


def _jsonl() -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in _records()).encode()


def _csv() -> bytes:
    lines = [",".join(_COLUMNS)]
    for record in _records():
        text = str(record["text"]).replace('"', '""')
        lines.append(f'{record["id"]},"{text}",tech,{record["n"]},{record["x"]},{record["at"]}')
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_records()), file, row_group_size=16)
    return file.getvalue()


def _zip(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("drop", (2026, 11, 16, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "JSON Lines": ("jsonl", _jsonl),
    "CSV": ("csv", _csv),
    "Parquet": ("parquet", _parquet),
    "JSON Lines, gzip": ("jsonl", lambda: gzip.compress(_jsonl(), mtime=0)),
    "CSV, zip": ("csv", lambda: _zip(_csv())),
    "JSON Lines, zstd": ("jsonl", lambda: _zstd(_jsonl())),
}
"""Kind of file -> its format and a valid one."""

Change = Callable[[bytes, random.Random], bytes]


def _place(data: bytes, draw: random.Random) -> int:
    return draw.randrange(len(data))


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 4, 32))):
        changed[_place(data, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _insert(data: bytes, draw: random.Random, noise: bytes) -> bytes:
    place = _place(data, draw)
    return data[:place] + noise + data[place:]


def _overwrite(data: bytes, draw: random.Random) -> bytes:
    place = _place(data, draw)
    size = draw.randrange(1, 200)
    return data[:place] + draw.randbytes(size) + data[place + size :]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, end = sorted((_place(data, draw), _place(data, draw)))
    return data[:end] + data[start:end] * draw.randrange(1, 4) + data[end:]


CHANGES: dict[str, Change] = {
    "cut off": lambda data, draw: data[: _place(data, draw)],
    "without its beginning": lambda data, draw: data[1 + _place(data, draw) :],
    "bits flipped": _flip,
    "bits flipped near the end": lambda data, draw: data[:-64] + _flip(data[-64:], draw),
    "random bytes put in": lambda data, draw: _insert(data, draw, draw.randbytes(draw.randrange(1, 300))),
    "overwritten with random bytes": _overwrite,
    "zeros put in": lambda data, draw: _insert(data, draw, bytes(draw.randrange(1, 300))),
    "a part repeated": _repeat,
    "quotes and line ends put in": lambda data, draw: _insert(
        data, draw, "".join(draw.choices('"\n\r,{}[]\\\u2028\u0085', k=20)).encode()
    ),
    "as UTF-16": lambda data, _: data.decode(errors="replace").encode("utf-16"),
    "followed by garbage": lambda data, draw: data + draw.randbytes(200),
}


def _cell_of(size: int) -> bytes:
    return json.dumps({"id": "a", "text": "x" * size, "label": "tech"}).encode() + b"\n"


def _parquet_cell(size: int) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["words", "x" * size]}), file)
    return file.getvalue()


def _deep(size: int) -> bytes:
    return b'{"id": "a", "text": ' + b"[" * size + b"]" * size + b"}\n" + b'{"id": "b"}\n'


SPECIAL: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an empty file": ("jsonl", lambda: b""),
    "an empty file, CSV": ("csv", lambda: b""),
    "an empty file, Parquet": ("parquet", lambda: b""),
    "JSON nested 100,000 deep": ("jsonl", lambda: _deep(100_000)),
    "JSON nested 1,000,000 deep, gzip": ("jsonl", lambda: gzip.compress(_deep(1_000_000), mtime=0)),
    "a number of 100,000 digits": ("jsonl", lambda: b'{"id": "a", "n": ' + b"9" * 100_000 + b"}\n"),
    "a number that is infinite": ("jsonl", lambda: b'{"id": "a", "x": 1e400}\n'),
    "a cell of 64 MB, JSON Lines": ("jsonl", lambda: _cell_of(64 << 20)),
    "a cell of 64 MB, CSV": ("csv", lambda: b'id,text\n"a","' + b"x" * (64 << 20) + b'"\n'),
    "a cell of 64 MB, Parquet": ("parquet", lambda: _parquet_cell(64 << 20)),
    "a quote that is never closed, 1 MB, CSV": ("csv", lambda: b'id,text\na,"' + b"x,y\n" * (1 << 18)),
    "5,000 columns, CSV": ("csv", lambda: b"id," + b",".join(b"c%d" % n for n in range(5_000)) + b"\n"),
    "a gzip bomb, 128 MB of blanks": ("jsonl", lambda: gzip.compress(b" " * (128 << 20), mtime=0)),
    "a zstd bomb, 128 MB of blanks": ("jsonl", lambda: _zstd(b" " * (128 << 20))),
    "a zip bomb, 128 MB of blanks": ("jsonl", lambda: _zip(b" " * (128 << 20))),
    "a gzip in a gzip": ("jsonl", lambda: gzip.compress(gzip.compress(_jsonl(), mtime=0), mtime=0)),
    "an archive of tar": ("jsonl", lambda: bytes(257) + b"ustar" + bytes(250)),
    "half surrogate pairs": ("jsonl", lambda: b'{"id": "a", "text": "\\ud800"}\n'),
    "a NUL in a text": ("jsonl", lambda: b'{"id": "a", "text": "\\u0000"}\n'),
}
"""What chance seldom finds."""


@dataclass(frozen=True)
class Hostile:
    """A malformed file."""

    kind: str
    change: str
    format: str
    content: bytes


def hostile_files() -> Iterator[Hostile]:
    """All of them, the same ones each time."""
    for kind, (form, valid) in KINDS.items():
        data = valid()
        for change, make in CHANGES.items():
            for seed in range(SEEDS):
                draw = random.Random(f"{kind} {change} {seed}")
                yield Hostile(kind, change, form, make(data, draw))
    for kind, (form, special) in SPECIAL.items():
        yield Hostile(kind, "", form, special())


class _InChild(FileDelivery):
    """A file that a child reads, whatever its format."""

    def blocks(self) -> Iterator[Block]:
        plain = FileDelivery(self.path, self.identity.partition(":")[2], self.name, self._source, _LIMITS)
        for found in blocks_from_child(Job(plain, _CHILD)):
            if isinstance(found, str):
                self._read = found
            else:
                yield found


def source_of(form: str, columns: dict[str, str] | None = None) -> SourceBase:
    fields = {
        **small_loop().source.model_dump(exclude_unset=True),
        "columns": columns or _COLUMNS,
        "format": form,
    }
    return small_loop(source=fields).source


def outcome(path: Path, source: SourceBase) -> tuple[str, Counts | None]:
    """What becomes of a file, in words, and its counts when it is read to its end.

    Whatever is no LakeloopError is raised: it would be a crash of the stage.
    """
    delivery = _InChild(path, sha256_file(path), path.name, source)
    loop = small_loop(source=source.model_dump(exclude_unset=True))
    try:
        intake, raw, quarantine = taken(delivery, loop, _DAY, path.parent)
        assert (raw.num_rows, quarantine.num_rows) == (intake.counts.accepted, intake.counts.quarantined)
        counts, reasons = intake.counts, sorted(intake.reasons)
    except LakeloopError as error:
        return f"refused: {error.message}", None
    assert counts.read == counts.accepted + counts.quarantined + counts.duplicates
    if not counts.read:
        return "read: no records", counts
    return "read" + (f", records rejected: {', '.join(reasons)}" if reasons else ""), counts


def outcomes(folder: Path) -> dict[tuple[str, str], dict[str, int]]:
    """Kind and change -> outcome -> number of files."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for number, hostile in enumerate(hostile_files()):
        path = folder / str(number)
        path.write_bytes(hostile.content)
        said, _ = outcome(path, source_of(hostile.format))
        path.unlink()
        of_kind = found.setdefault((hostile.kind, hostile.change), {})
        of_kind[said] = of_kind.get(said, 0) + 1
    return found


def page(found: dict[tuple[str, str], dict[str, int]]) -> str:
    """The page: one row for each kind of file and what was done to it."""
    files = sum(sum(of_kind.values()) for of_kind in found.values())
    lines = [
        "# Hostile files",
        "",
        "Generated by `python -m tests.support.hostile_files`: what becomes of files that are damaged, or",
        f"made to do harm. {files} files, made by a script with fixed seeds, are read as `ingest` reads",
        "them, each in a child process with limits on memory and time; a test reads them again and",
        "compares this page. *Read* means that rows and rejected records add up to the records of the",
        "file; *refused*, that nothing was published and the run ended with an error that names the file,",
        "the reason and what to do.",
        "",
        "| file | what was done to it | outcome |",
        "|---|---|---|",
    ]
    for (kind, change), of_kind in found.items():
        lines.append(f"| {kind} | {change or 'made so'} | {'; '.join(sorted(of_kind))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        PAGE.write_text(page(outcomes(Path(work))))
    sys.stdout.write(f"wrote {PAGE.name}\n")
