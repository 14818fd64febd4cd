"""The small files of a version in the lake: what describes the model, without its weights."""

from __future__ import annotations

from pydantic import ValidationError

from lakeloop.artifact import DESCRIPTION, MANIFEST, ArtifactDescription, Manifest
from lakeloop.errors import ArtifactError
from lakeloop.lake.files import LakeFiles
from lakeloop.registry.history import ModelVersion


def description_of(files: LakeFiles, version: ModelVersion) -> ArtifactDescription:
    """What the artifact of a version says of itself.

    Raises:
        ArtifactError: it is not in the lake, not as it was stored, or of a later version of Lakeloop.
    """
    content, where = files.read(version.folder_name, DESCRIPTION), files.uri(version.folder_name)
    try:
        return ArtifactDescription.model_validate_json(content, context={"where": where})
    except ValidationError as error:
        raise ArtifactError("the description cannot be read", where=where, found=str(error)) from None


def sizes_of(files: LakeFiles, version: ModelVersion) -> dict[str, int]:
    """File of the artifact -> bytes. Raises ArtifactError as `description_of` does."""
    manifest = Manifest.model_validate_json(files.read(version.folder_name, MANIFEST))
    return {name: entry.size for name, entry in manifest.files.items()}
