"""A version as a folder that leaves the lake: the artifact as it is served, its card, and its encoder alone.

README.md        the card
artifact/        what the server loads: network, tokenizer, description (cleaning, names of answers), manifest
transformers/    the encoder, where there is one: `AutoModel.from_pretrained` loads it
int8/            as artifact/, in eight bits, where that is asked for; check.json says how it answers
RUN.md           how to answer with it
Dockerfile       with requirements.txt and package/: an image that answers with artifact/, or int8/
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from lakeloop.artifact import TOKENIZER, open_artifact
from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS
from lakeloop.durable import fsync_directory, fsync_tree, write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.evidence import Evidence
from lakeloop.lake.files import LakeFiles
from lakeloop.registry.card import CARD, kept_card
from lakeloop.registry.history import ModelVersion
from lakeloop.registry.image import write_image
from lakeloop.registry.smaller import quantised
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.reading import Instance

Smaller = tuple[Callable[[], Sequence[Instance]], float]
"""Rows to compare the network in eight bits on, read when they are needed, and the least agreement."""
_ENCODER = "encoder."
"""Begins the names of the encoder's weights in those of a network."""
_BLOCK = 1 << 20


def export_version(
    files: LakeFiles,
    loop: LoopSpec,
    version: ModelVersion,
    evidence: Callable[[], Evidence | None],
    into: Path,
    smaller: Smaller | None = None,
) -> list[str]:
    """Write a version into the folder `into`, which appears whole or not at all; returns names of its files.

    Raises:
        ConfigurationError: `into` is there already, what words the card is not installed, or the version has
            no network that gets smaller.
        DataError: the network that is `smaller` answers otherwise.
        ArtifactError: the artifact in the lake is not the one that was registered, or its weights are gone.
    """
    if into.exists():
        raise ConfigurationError(
            "the folder is there already", where=str(into), expected="a new one", remedy="name another"
        )
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = into.with_name(f".{into.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        artifact = files.fetch(version.folder_name, partial / "artifact")
        description = open_artifact(artifact, expect=version.digest).description
        write_atomically(partial / CARD, kept_card(files, loop, version, evidence))
        if smaller:
            rows, least = smaller
            quantised(artifact, partial / "int8", rows(), min_agreement=least)
        write_image(partial, artifact)
        _write_encoder(artifact, partial / "transformers", description.max_tokens)
        fsync_tree(partial)
        partial.rename(into)
        fsync_directory(into.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file())


def _write_encoder(artifact: Path, into: Path, max_tokens: int) -> None:
    """The encoder as `transformers` has one; nothing where the artifact has no such network."""
    if not (artifact / SEALED_CONFIG).is_file() or not (artifact / WEIGHTS).is_file():
        return
    into.mkdir()
    with (artifact / WEIGHTS).open("rb") as weights, (into / WEIGHTS).open("wb") as taken:
        there = _take_encoder(weights, taken)
    if not there:
        shutil.rmtree(into)
        return
    shutil.copyfile(artifact / SEALED_CONFIG, into / "config.json")
    shutil.copyfile(artifact / TOKENIZER, into / TOKENIZER)
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens}
    write_atomically(into / "tokenizer_config.json", json.dumps(told, indent=2) + "\n")


def _take_encoder(weights: IO[bytes], taken: IO[bytes]) -> bool:
    """Copy the encoder's tensors, without their prefix; whether there are any.

    The format is that of https://github.com/huggingface/safetensors: the length of a JSON header, the header
    with the place of each tensor, their bytes. So tensors of any type are copied as they are.
    """
    (length,) = struct.unpack("<Q", weights.read(8))
    header: dict[str, Any] = json.loads(weights.read(length))
    begin, offset, places = 8 + length, 0, []
    chosen: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    tensors = ((name, said) for name, said in header.items() if name.startswith(_ENCODER))
    for name, said in sorted(tensors, key=lambda each: each[1]["data_offsets"]):
        first, last = said["data_offsets"]
        chosen[name.removeprefix(_ENCODER)] = {**said, "data_offsets": [offset, offset + last - first]}
        places.append((begin + first, last - first))
        offset += last - first
    content = json.dumps(chosen).encode()
    content += b" " * (-len(content) % 8)
    taken.write(struct.pack("<Q", len(content)) + content)
    for place, size in places:
        weights.seek(place)
        left = size
        while left:
            block = weights.read(min(left, _BLOCK))
            if not block:
                raise EOFError(f"{WEIGHTS} ends within a tensor")
            taken.write(block)
            left -= len(block)
    return bool(places)
