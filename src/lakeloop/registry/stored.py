"""The small files of a version in the lake: what describes the model, without its weights."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lakeloop.artifact import DESCRIPTION, MANIFEST, ArtifactDescription, Manifest, digest_of
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
    return description_in(files, _folder(files, version.name))


def description_in(files: LakeFiles, folder: str) -> ArtifactDescription:
    """As `description_of`, of the artifact in this folder of the lake."""
    where = files.uri(folder)
    try:
        content = _read(files, folder, DESCRIPTION)
        return ArtifactDescription.model_validate_json(content, context={"where": where})
    except ValidationError as error:
        raise ArtifactError("the description cannot be read", where=where, found=str(error)) from None


def require_artifact(files: LakeFiles, folder: str, digest: str) -> None:
    """Require that a folder of the lake was stored as the artifact with this digest, file by file.

    Its large files are not read: whoever takes them compares them with the manifest.

    Raises:
        ArtifactError: there is no such folder, it is another artifact, or files are missing or extra.
    """
    stored, sealed = files.manifest(folder), _manifest_in(files, folder)
    expected = {name: entry.sha256 for name, entry in sealed.files.items()}
    found = {name: sha256 for name, sha256 in stored.items() if name != MANIFEST}
    if found != expected or digest_of(sealed) != digest:
        wrong = sorted({name for name, _ in found.items() ^ expected.items()})
        raise ArtifactError(
            "this is not the artifact that is meant",
            where=files.uri(folder),
            expected=f"digest {digest}",
            found=f"digest {digest_of(sealed)}" + (f"; other files: {', '.join(wrong)}" if wrong else ""),
            remedy="train and evaluate again",
        )


def _manifest_in(files: LakeFiles, folder: str) -> Manifest:
    try:
        return Manifest.model_validate_json(_read(files, folder, MANIFEST))
    except ValidationError as error:
        raise ArtifactError("manifest cannot be read", where=files.uri(folder), found=str(error)) from None


def _read(files: LakeFiles, folder: str, name: str) -> bytes:
    try:
        return files.read(folder, name)
    except FileNotFoundError:
        raise ArtifactError("a file of this folder is gone", where=files.uri(folder), expected=name) from None


def sizes_of(files: LakeFiles, version: ModelVersion) -> dict[str, int]:
    """File of the artifact -> bytes. Raises ArtifactError as `description_of` does."""
    manifest = _manifest_in(files, _folder(files, version.name))
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
            write_atomically(scratch / name, _read(files, folder, name))
    files.put(scratch, kept)


_SMALL = (DESCRIPTION, MANIFEST, SEALED_CONFIG, "card.md", "README.md")
"""Files of an artifact that describe it."""


def _kept(version: str) -> str:
    return f"descriptions/{version}"


def _folder(files: LakeFiles, version: str) -> str:
    """The folder that has the description: that of the artifact, or what was kept of it."""
    folder, kept = f"models/{version}", _kept(version)
    return kept if not files.exists(folder) and files.exists(kept) else folder
