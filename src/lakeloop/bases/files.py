"""The files of a base model as files: whole, and themselves instead of something that stands for them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakeloop.errors import ConfigurationError

WHERE = "train.base_model"
"""The key of a loop file that names one."""

WEIGHTS = "model.safetensors"
SEALED_CONFIG = "base_config.json"
"""The config of a base model, in the artifact of a model that was trained on it."""
INDEX = "model.safetensors.index.json"
"""Names the file of each weight, where there are several."""
_POINTER = b"version https://git-lfs.github.com/spec/"
_LARGEST_HEADER = 100 << 20
"""As the library that reads them has it."""


def refuse_pointer(file: Path) -> None:
    """Raises ConfigurationError where `file` is what git-lfs leaves in place of one that it did not fetch."""
    with file.open("rb") as opened:
        if opened.read(len(_POINTER)) == _POINTER:
            raise ConfigurationError(
                f"{file.name} is a git-lfs pointer, not the file itself",
                where=WHERE,
                expected="the file that the pointer names",
                found=f"{file}, {file.stat().st_size} bytes",
                remedy="run `git lfs install && git lfs pull` in that repository, or copy the file there",
            )


def require_whole(file: Path) -> None:
    """Read the header of a safetensors file, and nothing else of it.

    Raises:
        ConfigurationError: it is none, or a part of it is missing.
    """
    refuse_pointer(file)
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = struct.unpack("<Q", opened.read(8).ljust(8, b"\xff"))[0]
        header = opened.read(length) if length <= min(size, _LARGEST_HEADER) else b""
    try:
        tensors = json.loads(header)
        ends = [told["data_offsets"][1] for name, told in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _broken(file, "a safetensors file", f"{size:,} bytes that are none") from None
    if 8 + length + max(ends, default=0) != size:
        whole = 8 + length + max(ends, default=0)
        raise _broken(file, f"{whole:,} bytes, as its header says", f"{size:,} bytes")


def _broken(file: Path, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"weights of the base model cannot be read: {file.name}",
        where=WHERE,
        expected=expected,
        found=f"{file}: {found}",
        remedy="fetch or save it again",
    )


def require_shards(folder: Path) -> None:
    """Raises ConfigurationError where a file that the index of the weights in `folder` names is not there."""
    index = folder / INDEX
    if not index.is_file():
        return
    refuse_pointer(index)
    places = read_json(index).get("weight_map")
    named = set(places.values()) if isinstance(places, Mapping) else set()
    if missing := sorted(str(name) for name in named if not (folder / str(name)).is_file()):
        raise ConfigurationError(
            f"{len(missing)} of {len(named)} files with weights of the base model are missing",
            where=WHERE,
            expected=f"all that {INDEX} names",
            found=f"{folder} without {missing[0]}",
            remedy="fetch it again",
        )


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises:
        ConfigurationError: there is none in it.
    """
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        found = str(error)
    if isinstance(found, dict):
        return found
    raise ConfigurationError(
        f"{file.name} of the base model cannot be read",
        where=WHERE,
        expected=f"a JSON object in {file}",
        found=str(found)[:100],
        remedy="fetch or save it again",
    )
