"""Files in an object store that a person points at: `s3://bucket/drops/`, `s3://bucket/drops/*.csv.gz`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from lakeloop.errors import ConfigurationError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.paths import (
    MOST_FILES,
    common_path,
    fixed_folder,
    is_pattern,
    refuse_tables,
    tries,
    with_data,
)
from lakeloop.proposal.places import written
from lakeloop.proposal.sample import take_sample
from lakeloop.sources.objects.credentials import access_to
from lakeloop.sources.objects.store import Bucket, StoredFile
from lakeloop.spec.address import SCHEMES, is_address, parts_of

_HEAD_BYTES = 64 << 20
"""What is fetched of a file for a look; of formats with an index at their end all of it."""
_WHOLE = (b"PK\x03\x04", b"PAR1")
_LOOKED_INTO = 3


def look(pointer: Pointer) -> Given | None:
    """The files at an address; None where something else is meant.

    Raises:
        ConfigurationError: there is no file, no such connection or bucket, or the store lets nobody in.
        DataError: no records in it that can be read.
        ServiceError: the store is away.
    """
    if not is_address(pointer.text):
        return None
    if parts_of(pointer.text)[0] not in SCHEMES:
        raise ConfigurationError(
            "not an address that can be read",
            where="--from",
            expected="postgresql://, sqlite:///, https://, " + ", ".join(f"{name}://" for name in SCHEMES),
            found=f"{parts_of(pointer.text)[0]}://",
        )
    bucket = Bucket(pointer.text, access_to(pointer.text, pointer.connection, pointer.settings))
    asked = parts_of(pointer.text)[2]
    files = _files(bucket, asked, pointer.text)
    path, names_day = common_path([file.path for file in files], asked)
    with tempfile.TemporaryDirectory(prefix="lakeloop-look-") as folder:
        # Each in a folder of its own: part-0.parquet is in many.
        looked = enumerate(files[:_LOOKED_INTO])
        sample = take_sample([_fetched(bucket, file, Path(folder) / f"{n}") for n, file in looked])
    if len(files) > _LOOKED_INTO:
        sample = replace(sample, whole=False)
    keys = {"kind": "files", "path": f"{bucket.root}/{path}"}
    if pointer.connection:
        keys["connection"] = pointer.connection
    return Given(
        keys["path"],
        str(sample.format),
        {**keys, **written(sample)},
        sample,
        says_day=names_day,
        notes={"connection": "its credentials are in the environment"},
        dating="name each file after its day, such as 2026-11-20.csv; or name the column: --time COLUMN",
    )


def _files(bucket: Bucket, asked: str, given: str) -> list[StoredFile]:
    """The files of a pattern, in or below a folder, or the one of this name; by their names."""
    if not is_pattern(asked) and asked and not asked.endswith("/") and (file := bucket.file(asked)):
        return [file]
    found: list[StoredFile] = []
    for pattern in tries(asked):
        folder = fixed_folder(pattern)
        deep = "/" in pattern[len(folder) :].lstrip("/")
        listed = {file.path: file for file in bucket.below(folder, deep=deep) if file.size}
        if not is_pattern(asked):
            refuse_tables(listed, f"{bucket.root}/")
        if found := [listed[name] for name in with_data(listed, pattern)]:
            break
    if not found or len(found) > MOST_FILES:
        raise ConfigurationError(
            "no file there" if not found else "too many files there",
            where="--from",
            expected=f"a file, a folder of at most {MOST_FILES} files, or a pattern: 's3://bucket/in/**/*.csv'",
            found=given,
        )
    return found


def _fetched(bucket: Bucket, file: StoredFile, folder: Path) -> Path:
    folder.mkdir()
    target = folder / PurePosixPath(file.path).name
    bucket.fetch(file, target, _HEAD_BYTES)
    with target.open("rb") as opened:
        ends_matter = opened.read(4).startswith(_WHOLE)
    if ends_matter and file.size > _HEAD_BYTES:
        bucket.fetch(file, target)
    return target
