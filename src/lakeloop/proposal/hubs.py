"""A data set of the hub that a person points at: `hub:owner/name@revision`, or a folder with shards in it."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from lakeloop.errors import ConfigurationError
from lakeloop.hub import HUB
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.places import from_here, shown, written
from lakeloop.proposal.sample import take_sample
from lakeloop.settings import Settings
from lakeloop.sources.formats.registry import FORMATS
from lakeloop.sources.hub import allowed_shards, folder_of
from lakeloop.spec.days import yesterday

_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}\.")
_SPLIT = "train"


def look(pointer: Pointer) -> Given | None:
    """The split `train` of a data set; None where something else is meant.

    Raises:
        ConfigurationError: there is no such data set, or it cannot be had from here.
        DataError: no records in it that can be read.
        ServiceError: the hub does not answer.
    """
    if pointer.text.startswith(HUB):
        dataset = pointer.text
    else:
        folder = from_here(pointer.text, pointer.settings)
        if not pointer.text or not folder.is_dir() or not any(map(_is_shard, folder.rglob("*"))):
            return None
        dataset = shown(folder, pointer.settings)
    files = _files(dataset, pointer.settings)
    sample = take_sample(files)
    return Given(
        dataset,
        f"split {_SPLIT} of a data set, {sample.format}",
        {"kind": "hub", "dataset": dataset, "split": _SPLIT, **written(sample)},
        sample,
        says_day=False,
        notes={"day": "all rows are of this day, for no column says one"},
        undated={"day": date.fromisoformat(yesterday("UTC"))},
    )


def _is_shard(path: Path) -> bool:
    return bool(_SHARD.search(path.name)) and path.is_file()


def _files(dataset: str, settings: Settings) -> list[Path]:
    """The files of the first format that has some."""
    folder = folder_of(dataset, settings)
    for file_format in ("parquet", *FORMATS):
        try:
            return allowed_shards(dataset, folder, file_format, _SPLIT, settings)
        except ConfigurationError as error:
            refused = error
    raise refused
