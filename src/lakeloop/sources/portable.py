"""Blocks as bytes, for a file or another process: Arrow and JSON, so that reading them runs no code."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import asdict
from typing import Any, BinaryIO

from pyarrow import ipc

from lakeloop.sources.base import Block
from lakeloop.sources.rejects import Reason, Reject

_SIZES = struct.Struct(">QQ")
_LARGEST = 1 << 31


def reject_line(file: str | None, reject: Reject) -> bytes:
    """A rejected record of a file as a line of JSON."""
    fields = asdict(reject)
    if not fields["readmitted"]:
        del fields["readmitted"]  # digests are made of such lines: those of before stay the same
    return json.dumps({"file": file, "reject": fields}).encode() + b"\n"


def reject_of(line: bytes) -> tuple[str | None, Reject]:
    """What `reject_line` wrote. Raises ValueError, KeyError or TypeError when it did not."""
    found = json.loads(line)
    fields: dict[str, Any] = found["reject"]
    return found["file"], Reject(**{**fields, "reason": Reason(fields["reason"])})


def write_frame(stream: BinaryIO, about: dict[str, Any], data: bytes | memoryview = b"") -> None:
    """Write one message: words about it, and bytes."""
    words = json.dumps(about).encode()
    stream.write(_SIZES.pack(len(words), len(data)))
    stream.write(words)
    stream.write(data)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """What `write_frame` wrote; None at the end of the stream. Raises ValueError when it did not."""
    sizes = stream.read(_SIZES.size)
    if not sizes:
        return None
    if len(sizes) < _SIZES.size:
        raise ValueError("a message that is cut off")
    length, size = _SIZES.unpack(sizes)
    if length + size > _LARGEST:
        raise ValueError(f"a message of {length + size} bytes")
    words, data = stream.read(length), stream.read(size)
    if len(words) < length or len(data) < size:
        raise ValueError("a message that is cut off")
    about: dict[str, Any] = json.loads(words)
    return about, data


def write_block(stream: BinaryIO, block: Block) -> None:
    """Write one block as a message."""
    rows = io.BytesIO()
    with ipc.new_stream(rows, block.rows.schema) as writer:
        writer.write_batch(block.rows)
    rejects = [reject_line(block.file, reject).decode() for reject in block.rejects]
    about = {
        "read": block.read,
        "undeclared": dict(block.undeclared),
        "file": block.file,
        "lines": block.lines,
        "rejects": rejects,
    }
    write_frame(stream, {"block": about}, rows.getbuffer())


def block_of(about: dict[str, Any], data: bytes) -> Block:
    """The block that a message holds. Raises pa.ArrowException, ValueError, KeyError or TypeError."""
    with ipc.open_stream(data) as reader:
        (rows,) = reader
    rows.validate(full=True)
    rejects = tuple(reject_of(line.encode())[1] for line in about["rejects"])
    return Block(rows, rejects, about["read"], about["undeclared"], about["file"], about["lines"])
