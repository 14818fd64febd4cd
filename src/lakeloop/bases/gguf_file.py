"""The head of a GGUF file, read without torch: whether it is one, whole, and how large its weights become.

Format: versions 2 and 3 of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Sizes of packed weights
are those of package `gguf`. The weights themselves are read by `training.unpack`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from lakeloop.bases.files import WHERE, refuse_pointer
from lakeloop.errors import ConfigurationError

SUFFIX = ".gguf"
"""Ends the name of such a file."""
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Kind of value -> its format, as module `struct` has it."""
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 8
_ALIGNED = 32
"""Bytes that weights begin at multiples of, where the file does not say."""


@dataclass(frozen=True)
class GgufHead:
    """What stands before the weights."""

    values: Mapping[str, Any]
    """Key -> number or text; of a list its length."""
    numbers: int
    """How many the weights are."""

    @property
    def architecture(self) -> str:
        return str(self.values.get("general.architecture"))

    @property
    def config(self) -> dict[str, Any]:
        """What of a config.json tells how it may be trained; what the file leaves open is left out."""
        told = {"num_hidden_layers": "block_count", "max_position_embeddings": "context_length"}
        found = {key: self.values.get(f"{self.architecture}.{own}") for key, own in told.items()}
        return {"model_type": self.architecture} | {key: each for key, each in found.items() if each}

    @property
    def pre(self) -> str:
        """How texts are parted before words are looked up: `tokenizer.ggml.pre`."""
        return str(self.values.get("tokenizer.ggml.pre", ""))


class _NoneError(Exception):
    """The bytes are no GGUF."""


def read_head(file: Path) -> GgufHead:
    """The head of a GGUF file, all of whose weights are there.

    Raises:
        ConfigurationError: it is none, of another version, a part of one, or packed in a way that package
            `gguf` does not know; or that package is missing.
    """
    require_reader()
    refuse_pointer(file)
    with file.open("rb") as opened:
        if opened.read(4) != _MAGIC:
            raise _unlike(file, "they begin otherwise")
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                return _Reader(content, file).head()
            except struct.error:
                raise _unlike(file, "they end within its head") from None
            except (_NoneError, UnicodeDecodeError) as error:
                raise _unlike(file, str(error)) from None


def require_reader() -> None:
    """Raises ConfigurationError where package `gguf`, which knows how weights are packed, is missing."""
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "the package that reads GGUF files is not installed",
            where=WHERE,
            expected="package gguf",
            found=str(error),
            remedy='install it: pip install "lakeloop[gguf]"',
        ) from None


class _Reader:
    """Reads one value after the other."""

    def __init__(self, content: mmap.mmap, file: Path) -> None:
        self._content = content
        self._file = file
        self._at = len(_MAGIC)

    def head(self) -> GgufHead:
        if (version := self._number("I")) not in _VERSIONS:
            raise _NoneError(f"version {version}; versions 2 and 3 are read")
        tensors, keys = self._number("Q"), self._number("Q")
        values = {}
        for _ in range(keys):
            key = self._text()
            values[key] = self._value(self._number("I"))
        parts = values.get("split.count")
        if isinstance(parts, int) and parts > 1:
            raise ConfigurationError(
                "one of several files of a base model",
                where=WHERE,
                expected="one file with all of it",
                found=f"{self._file}, of {parts} files",
                remedy="join them: llama-gguf-split --merge FIRST JOINED.gguf",
            )
        numbers, end = self._tensors(tensors)
        start = -(-self._at // _alignment(values)) * _alignment(values)
        if (size := len(self._content)) < start + end:
            raise ConfigurationError(
                f"{self._file.name} is a part of the file",
                where=WHERE,
                expected=f"{start + end:,} bytes, as its head says",
                found=f"{self._file}: {size:,} bytes",
                remedy="fetch it again",
            )
        return GgufHead(values, numbers)

    def _tensors(self, count: int) -> tuple[int, int]:
        """How many numbers there are, and where the last ends, in bytes from where the first begins."""
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        sizes = {int(kind): size for kind, size in GGML_QUANT_SIZES.items()}
        numbers = end = 0
        for _ in range(count):
            name, dimensions = self._text(), self._number("I")
            if dimensions > _MOST_DIMENSIONS:
                raise _NoneError(f"{name[:40]!r} of {dimensions} dimensions")
            own = prod(self._number("Q") for _ in range(dimensions))
            kind, offset = self._number("I"), self._number("Q")
            if kind not in sizes:
                known = ", ".join(GGMLQuantizationType(each).name for each in sizes)
                raise ConfigurationError(
                    f"weights of {self._file.name} are packed in an unknown way",
                    where=WHERE,
                    expected=known,
                    found=f"{name[:40]!r} of kind {kind}",
                    remedy="take another file of this model, such as one of Q8_0 or Q4_K_M",
                )
            block, size = sizes[kind]
            numbers += own
            end = max(end, offset + own // block * size)
        return numbers, end

    def _value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            raise _NoneError(f"a value of unknown kind {kind}")
        own, count = self._number("I"), self._number("Q")
        if own in _NUMBERS:
            self._skip(count * struct.calcsize(f"<{_NUMBERS[own]}"))
        elif own == _STRING:
            for _ in range(count):
                self._skip(self._number("Q"))
        else:
            raise _NoneError(f"a list of unknown kind {own}")
        return count

    def _number(self, form: str) -> Any:
        (found,) = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return found

    def _text(self) -> str:
        began = self._skip(self._number("Q"))
        return self._content[began : self._at].decode("utf-8")

    def _skip(self, length: int) -> int:
        """Go on behind so many bytes; returns where they begin."""
        if length > len(self._content) - self._at:
            raise _NoneError("they end within its head")
        began, self._at = self._at, self._at + length
        return began


def _alignment(values: Mapping[str, Any]) -> int:
    found = values.get("general.alignment")
    return found if isinstance(found, int) and found > 0 else _ALIGNED


def _unlike(file: Path, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"{file.name} is no GGUF file, or a part of one",
        where=WHERE,
        expected="a whole GGUF file, of version 2 or 3",
        found=f"{file}, {file.stat().st_size:,} bytes: {found}",
        remedy="fetch it again, or name another file",
    )
