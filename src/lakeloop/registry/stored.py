"""The small files of a version in the lake: what describes the model, without its weights."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lakeloop.artifact import DESCRIPTION, MANIFEST, ArtifactDescription, Manifest
from lakeloop.bases.files import SEALED_CONFIG
from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.lake.files import LakeFiles
from lakeloop.registry.history import ModelVersion


def description_of(files: LakeFiles, version: ModelVersion) -> ArtifactDescription:
    """What the artifact of a version says of itself.

    Raises:
        ArtifactError: it is not in the lake, not as it was stored, or of a later version of Lakeloop.
    """
    folder = _folder(files, version.name)
    content, where = files.read(folder, DESCRIPTION), files.uri(folder)
    try:
        return ArtifactDescription.model_validate_json(content, context={"where": where})
    except ValidationError as error:
        raise ArtifactError("the description cannot be read", where=where, found=str(error)) from None


def sizes_of(files: LakeFiles, version: ModelVersion) -> dict[str, int]:
    """File of the artifact -> bytes. Raises ArtifactError as `description_of` does."""
    manifest = Manifest.model_validate_json(files.read(_folder(files, version.name), MANIFEST))
    return {name: entry.size for name, entry in manifest.files.items()}


def keep_description(files: LakeFiles, version: str, scratch: Path) -> None:
    """Store what describes a version in a folder of its own, so that the weights can go.

    `scratch` is made.

    Raises:
        ArtifactError: the artifact in the lake is not as it was stored.
    """
    folder, kept = f"models/{version}", _kept(version)
    if files.exists(kept):
        return
    for name in files.manifest(folder):
        if name in _SMALL:
            write_atomically(scratch / name, files.read(folder, name))
    files.put(scratch, kept)


_SMALL = (DESCRIPTION, MANIFEST, SEALED_CONFIG, "card.md", "README.md")
"""Files of an artifact that describe it."""


def _kept(version: str) -> str:
    return f"descriptions/{version}"


def _folder(files: LakeFiles, version: str) -> str:
    """The folder that has the description: that of the artifact, or what was kept of it."""
    folder, kept = f"models/{version}", _kept(version)
    return kept if not files.exists(folder) and files.exists(kept) else folder
