"""Files of other encodings, delimiters and quotes are read as declared; files that are no text are named."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from lakeloop.errors import DataError
from lakeloop.sources.base import Block
from lakeloop.sources.formats.registry import format_of
from lakeloop.spec.source import FilesSource

TEXTS = ["plain", "café", "line\nend", 'a "quote"', "semi;colon, comma\ttab"]


def source(file_format: Literal["csv", "jsonl"] = "csv", **keys: Any) -> FilesSource:
    columns: Any = {"id": "string", "text": "string"}
    return FilesSource(
        kind="files", path="{partition}", key="id", columns=columns, format=file_format, **keys
    )


def read(content: bytes, declared: FilesSource) -> list[Block]:
    return list(format_of(declared).read(io.BytesIO(content), "drop", declared))


def texts(blocks: list[Block]) -> list[str]:
    return [row["text"] for block in blocks for row in block.rows.to_pylist()]


def as_csv(delimiter: str = ",", quote: str = '"') -> str:
    fields = [quote + text.replace(quote, quote * 2) + quote for text in TEXTS]
    return f"id{delimiter}text\n" + "".join(f"{n}{delimiter}{field}\n" for n, field in enumerate(fields))


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "latin-1",
        "cp1252",
        "cp437",
        "mac_roman",
    ],
)
def test_an_encoding_is_read(encoding: str) -> None:
    assert texts(read(as_csv().encode(encoding), source(encoding=encoding))) == TEXTS
    lines = "".join(
        json.dumps({"id": str(n), "text": text}, ensure_ascii=False) + "\n" for n, text in enumerate(TEXTS)
    )
    assert texts(read(lines.encode(encoding), source("jsonl", encoding=encoding))) == TEXTS


def test_an_encoding_of_several_bytes_a_character_is_read_across_blocks() -> None:
    content = "id,text\n" + "".join(f"{n},日本語テキスト\n" for n in range(60_000))
    found = read(content.encode("shift_jis"), source(encoding="shift_jis"))
    assert len(found) > 2
    assert texts(found) == ["日本語テキスト"] * 60_000


def test_a_byte_that_is_none_of_the_encoding_quarantines_its_record() -> None:
    content = "id,text\n1,日本\n2,".encode("shift_jis") + b"\x81\xff\xc3\xa9 \\,\n" + b"3,ok\n"
    blocks = read(content, source(encoding="shift_jis"))
    assert texts(blocks) == ["日本", "ok"]
    (reject,) = [reject for block in blocks for reject in block.rejects]
    assert (reject.line, str(reject.reason)) == (3, "bad_encoding")
    assert reject.detail == "not shift_jis: \\x81"
    assert reject.raw.startswith("2,\\x81")
    assert reject.raw.endswith(" \\\\,")


def test_a_file_that_ends_within_a_character_is_quarantined_there() -> None:
    blocks = read("id,text\n1,a\n2,b".encode("utf-16")[:-1], source(encoding="utf-16"))
    assert texts(blocks) == ["a"]
    assert [str(reject.reason) for block in blocks for reject in block.rejects] == ["bad_encoding"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", "\x01", "^"])
@pytest.mark.parametrize("quote", ['"', "'", "~"])
def test_delimiters_and_quotes_are_read(delimiter: str, quote: str) -> None:
    blocks = read(as_csv(delimiter, quote).encode(), source(delimiter=delimiter, quote=quote))
    assert texts(blocks) == TEXTS


def test_without_quotes_no_character_but_the_delimiter_is_special() -> None:
    content = b'id\ttext\n1\t5" pipe\n2\t"a\n3\t\n'
    blocks = read(content, source(delimiter="\t", quote="none"))
    assert texts(blocks) == ['5" pipe', '"a', None]


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"delimiter": '"'}, "quote"),
        ({"delimiter": "a"}, "delimiter"),
        ({"delimiter": "7"}, "delimiter"),
        ({"delimiter": "\n"}, "delimiter"),
        ({"delimiter": ""}, "delimiter"),
        ({"delimiter": ",,"}, "delimiter"),
        ({"delimiter": "§"}, "delimiter"),
        ({"quote": ","}, "quote"),
        ({"quote": "\r"}, "quote"),
        ({"quote": ""}, "quote"),
        ({"encoding": "utf-9"}, "encoding"),
        ({"encoding": "base64"}, "encoding"),
        ({"encoding": "punycode"}, "encoding"),
        ({"encoding": "unicode_escape"}, "encoding"),
        ({"encoding": "a\0b"}, "encoding"),
        ({"file_format": "jsonl", "delimiter": ";"}, "delimiter"),
        ({"file_format": "jsonl", "quote": "'"}, "quote"),
        ({"file_format": "parquet", "encoding": "utf-16"}, "encoding"),
    ],
)
def test_nonsense_is_refused(keys: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        source(**keys)


def packed_workbook() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return out.getvalue()


def parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["1"], "text": ["a"]}), out)
    return out.getvalue()


def sqlite(folder: Path) -> bytes:
    with sqlite3.connect(folder / "db") as connection:
        connection.execute("create table t (id text)")
    connection.close()
    return (folder / "db").read_bytes()


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_a_file_that_is_no_text_is_named(tmp_path: Path, file_format: Literal["csv", "jsonl"]) -> None:
    files = {
        "gzip": gzip.compress(b"id,text\n"),
        "zip": packed_workbook(),
        "Parquet": parquet(),
        "SQLite": sqlite(tmp_path),
        "PDF": b"%PDF-1.7\n%\xe2\xe3",
        "UTF-16": as_csv().encode("utf-16"),
        "UTF-16-LE": as_csv().encode("utf-16-le"),
        "UTF-16-BE": as_csv().encode("utf-16-be"),
        "UTF-32": as_csv().encode("utf-32"),
    }
    for kind, content in files.items():
        with pytest.raises(DataError, match=kind) as caught:
            read(content, source(file_format))
        assert caught.value.where == "drop"
        assert caught.value.remedy


@pytest.mark.parametrize(
    "content", [b"PAR1,text\n", b"\0\0\0\0\0\0\n", b"id\n\n", b"\xef\xbb\xbfid,text\n1,a\n"]
)
def test_text_with_a_strange_beginning_is_read(content: bytes) -> None:
    assert read(content, source("jsonl"))


def test_chinese_text_is_not_taken_for_utf_16() -> None:
    assert texts(read("id,text\n1,漢字\n".encode(), source())) == ["漢字"]


@pytest.mark.parametrize("encoding", ["utf-16", "UTF_16", "utf-32"])
def test_a_file_without_the_mark_of_its_encoding_is_refused_with_what_to_do(encoding: str) -> None:
    for content in (as_csv().encode(), as_csv().encode(f"{encoding}-le"), b"i"):
        with pytest.raises(DataError, match="no byte order mark") as caught:
            read(content, source(encoding=encoding))
        assert "-le, " in caught.value.remedy
    assert read(b"", source(encoding=encoding)) == read(b"", source())
