"""Compressed drops: read as streams by their first bytes, within limits, and refused with a reason."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeloop.durable import sha256_file
from lakeloop.errors import DataError
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.packed import Limits
from tests.support.small_loop import small_loop

LINES = b"".join(b'{"id": "k%d", "text": "words %d", "label": "tech"}\n' % (n, n * n) for n in range(5000))
SMALL = Limits(bytes=1 << 30, ratio=200)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("a.jsonl")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def delivery(tmp_path: Path, content: bytes, limits: Limits = SMALL) -> FileDelivery:
    path = tmp_path / "drop.jsonl"  # the name says nothing
    path.write_bytes(content)
    return FileDelivery(path, sha256_file(path), "drop.jsonl", small_loop().source, limits)


def read(tmp_path: Path, content: bytes, limits: Limits = SMALL) -> list[tuple[str | None, list[Any]]]:
    opened = delivery(tmp_path, content, limits)
    found = [(block.file, block.rows.select(["id", "source_line"]).to_pylist()) for block in opened.blocks()]
    opened.require_unchanged()
    return found


PLAIN = [{"id": f"k{n}", "source_line": n + 1} for n in range(5000)]
PACKED = {
    "plain": LINES,
    "gzip": gzip.compress(LINES),
    "gzip in members": gzip.compress(LINES[: len(LINES) // 2]) + gzip.compress(LINES[len(LINES) // 2 :]),
    "zstd": zstd(LINES),
    "zip": zipped({"whatever.txt": LINES}),
    "stored zip": zipped({"a/b.jsonl": LINES}, zipfile.ZIP_STORED),
    "zip of a Mac": zipped({"a.jsonl": LINES, "__MACOSX/._a.jsonl": b"x", ".DS_Store": b"y"}),
}


@pytest.mark.parametrize("kind", PACKED)
def test_what_is_packed_is_read_like_what_is_not(tmp_path: Path, kind: str) -> None:
    assert [row for _, rows in read(tmp_path, PACKED[kind]) for row in rows] == PLAIN


@pytest.mark.parametrize("kind", PACKED)
def test_records_are_found_again_in_what_is_packed(tmp_path: Path, kind: str) -> None:
    opened = delivery(tmp_path, PACKED[kind])
    (file,) = {block.file or opened.name for block in opened.blocks()}
    found = [(name, record.line, record.raw) for name, record in opened.records_at({file: {4000, 17}})]
    lines = LINES.decode().splitlines()
    assert found == [(file, 17, lines[16]), (file, 4000, lines[3999])]
    opened.require_unchanged()


def test_the_files_in_an_archive_are_read_by_name_and_rows_know_theirs(tmp_path: Path) -> None:
    half = LINES.index(b"\n", len(LINES) // 2) + 1
    packed = zipped({"b.jsonl": LINES[half:], "a.jsonl": LINES[:half], "readme.md": b"hello"})
    found = read(tmp_path, packed)
    assert [row["id"] for _, rows in found for row in rows] == [row["id"] for row in PLAIN]
    assert sorted({str(file) for file, _ in found}) == ["drop.jsonl/a.jsonl", "drop.jsonl/b.jsonl"]


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip", "stored zip"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_an_archive_that_was_cut_off_is_no_delivery(tmp_path: Path, kind: str, share: float) -> None:
    with pytest.raises(DataError, match="cannot be unpacked") as caught:
        read(tmp_path, PACKED[kind][: int(len(PACKED[kind]) * share)])
    assert "bytes of the file had been read" in caught.value.found


@pytest.mark.parametrize("kind", ["gzip", "zip", "stored zip"])
def test_an_archive_with_a_wrong_byte_is_no_delivery(tmp_path: Path, kind: str) -> None:
    damaged = bytearray(PACKED[kind])
    damaged[len(damaged) // 2] ^= 0x55
    with pytest.raises(DataError):
        read(tmp_path, bytes(damaged))


BOMB = b" " * (80 << 20)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
def test_a_bomb_is_stopped_before_it_is_large(tmp_path: Path, kind: str) -> None:
    packed = {"gzip": gzip.compress, "zstd": zstd, "zip": lambda data: zipped({"a": data})}[kind](BOMB)
    with pytest.raises(DataError, match="unpacks to more than is allowed") as caught:
        read(tmp_path, packed)
    assert "LAKELOOP_UNPACKED_RATIO" in caught.value._compose()
    with pytest.raises(DataError, match="unpacks to more"):
        read(tmp_path, packed, Limits(bytes=1 << 20, ratio=10**9))


def test_a_zip_that_lies_about_its_size_is_counted_or_refused(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a": BOMB}))
    size = len(BOMB).to_bytes(4, "little")
    while (place := packed.find(size)) >= 0:
        packed[place : place + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(DataError):
        read(tmp_path, bytes(packed))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(gzip.compress(LINES)), "an archive in an archive"),
        (zipped({"a.zip": zipped({"b": LINES})}), "an archive in an archive"),
        (zipped({}), "not the files that the loop file declares"),
        (zipped({"a.md": LINES, "b.md": LINES}), "not the files that the loop file declares"),
        (zipped({"a": LINES}, zipfile.ZIP_LZMA), "cannot be unpacked"),
        (tarred(LINES), "a file of tar"),
        (gzip.compress(tarred(LINES)), "a file of tar"),
        (b"\xfd7zXZ\x00\x00", "a file of xz"),
        (b"BZh91AY&SY", "a file of bzip2"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, content)


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a": LINES}))
    packed[6] |= 1  # the flag in the local header, and in the directory
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="cannot be unpacked") as caught:
        read(tmp_path, bytes(packed))
    assert caught.value.found == "encrypted"


def test_the_identity_is_that_of_the_packed_bytes(tmp_path: Path) -> None:
    packed = PACKED["gzip"]
    opened = delivery(tmp_path, packed + b"")
    assert opened.identity == f"sha256:{sha256_file(opened.path)}"
    list(opened.blocks())
    opened.require_unchanged()
