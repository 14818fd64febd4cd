"""The model artifact: a folder of files under a manifest of their digests, written last, verified first.

What the files hold is the business of their writer (`training`) and their reader (`lakeloop.inference`). Here
is only the promise that a folder is whole and is the one that was registered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, JsonValue, ValidationError, model_validator

from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS
from lakeloop.durable import fsync_tree, sha256_file, write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.records import Formatted, Frozen
from lakeloop.tasks.base import OutputContract, Profile
from lakeloop.tasks.reading import Reading

MANIFEST = "manifest.json"
DESCRIPTION = "description.json"
ONNX_MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
ENCODER, WRITER = "onnx-encoder", "torch-generate"
"""Engines, see `lakeloop.inference.engines.registry`."""
_REQUIRED = {ENCODER: (ONNX_MODEL,), WRITER: (WEIGHTS, SEALED_CONFIG)}
"""Engine -> the files that it reads beside those that all artifacts have."""


FORMAT = 2
"""Version of descriptions: 1 had the keys of the first kind of task, and no cleaning before inference."""


CANDIDATES = "candidates"
"""Folder of the lake with the artifacts of trainings."""


def candidate_folder(digest: str) -> str:
    """The folder in the lake of a training's artifact with this digest."""
    return f"{CANDIDATES}/{digest[:16]}"


class Calibration(Frozen):
    """The temperature that the outputs of a network were divided by, and what that did on validation rows."""

    temperature: float = Field(gt=0)
    """It is in the weights of the last layer already: whoever runs the network has nothing to divide."""
    calibration_error: float
    """With it, in ten bins (ECE)."""
    calibration_error_before: float
    """And without."""


class ArtifactDescription(Formatted):
    """What a reader must know to use the model, and what a person must know to trust it."""

    newest_format: ClassVar[int] = FORMAT

    format: int = FORMAT
    loop: str
    candidate: str
    """Name of the candidate in the loop file."""
    method: str
    engine: str = ENCODER
    """What runs the network, see `lakeloop.inference.engines.registry`."""
    contract: OutputContract
    """What the network gives, and how answers are made of it."""
    reads: Reading = Field(default=Reading(), exclude_if=lambda reads: reads.text_alone)
    """What of a row the network is given."""
    clean: tuple[str, ...] = ()
    """Steps of `lakeloop.cleaning` that a text goes through before the tokenizer, in this order."""
    max_tokens: int
    base_model: str
    base_digest: str
    dataset_digest: str
    seed: int
    profile: Profile
    """How the target is spread over the training rows; monitoring compares answers with it."""
    validation_metrics: dict[str, float]
    calibration: Calibration | None = Field(default=None, exclude_if=lambda found: found is None)
    """None where the training was not asked for it, see `train.calibration`."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """Every setting of the training, resolved."""

    @model_validator(mode="before")
    @classmethod
    def _lift_format_1(cls, content: Any) -> Any:
        if isinstance(content, dict) and "contract" not in content and "labels" in content:
            from lakeloop.tasks.classification import description_of_format_1

            return {**description_of_format_1(content), "format": 1}
        return content


class FileEntry(Frozen):
    sha256: str
    size: int = Field(ge=0)
    """Bytes."""


class Manifest(Frozen):
    files: dict[str, FileEntry]


@dataclass(frozen=True)
class Artifact:
    """A verified folder."""

    folder: Path
    description: ArtifactDescription
    digest: str
    """sha256 over the names and digests of all files."""
    files: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Name -> sha256 of every file, the manifest among them, as they were when it was verified: who stores
    the folder need not read it again."""


def write_manifest(folder: Path, description: ArtifactDescription) -> Artifact:
    """Seal `folder`: write its description, then a manifest of its files, durably; returns the artifact.

    Raises:
        ArtifactError: a required file is missing.
    """
    for leftover in folder.rglob(".*.tmp"):  # of a writer that was killed
        leftover.unlink()
    write_atomically(folder / DESCRIPTION, description.model_dump_json(indent=2) + "\n")
    names = _names(folder)
    required = (*_REQUIRED.get(description.engine, ()), TOKENIZER, DESCRIPTION)
    if missing := [name for name in required if name not in names]:
        raise ArtifactError("artifact is incomplete", where=str(folder), expected=", ".join(missing))
    files = {
        name: FileEntry(sha256=sha256_file(folder / name), size=(folder / name).stat().st_size)
        for name in names
    }
    fsync_tree(folder)
    manifest = Manifest(files=files)
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return Artifact(folder, description, digest_of(manifest), _digests(folder, manifest))


def open_artifact(folder: Path, expect: str = "") -> Artifact:
    """Verify every file of `folder` against its manifest, and the whole against the digest `expect`.

    Raises:
        ArtifactError: there is no manifest; a file is missing, extra or changed; the description cannot be
            read, or is of a newer version of Lakeloop; or the artifact is another one than is expected.
    """
    manifest = _read_manifest(folder)
    names = _names(folder)
    for title, wrong in (
        ("files are missing", sorted(set(manifest.files) - set(names))),
        ("files are not in the manifest", sorted(set(names) - set(manifest.files))),
    ):
        if wrong:
            raise ArtifactError(title, where=str(folder), found=", ".join(wrong), remedy=_REMEDY)
    for name, entry in sorted(manifest.files.items()):
        found = sha256_file(folder / name)
        if found != entry.sha256:
            raise ArtifactError(
                f"{name} is not the file that was registered",
                where=str(folder),
                expected=f"sha256 {entry.sha256}",
                found=f"sha256 {found}",
                remedy=_REMEDY,
            )
    digest = digest_of(manifest)
    if expect and digest != expect:
        raise ArtifactError(
            "this is not the artifact that is meant",
            where=str(folder),
            expected=f"digest {expect}",
            found=f"digest {digest}",
            remedy=_REMEDY,
        )
    return Artifact(folder, _read_description(folder), digest, _digests(folder, manifest))


_REMEDY = "do not serve it; fetch it again from the lake, or release the model again"


def _names(folder: Path) -> list[str]:
    return sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST
    )


def _read_manifest(folder: Path) -> Manifest:
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise ArtifactError("no model artifact here", where=str(folder), expected=MANIFEST) from None
    except ValidationError as error:
        raise ArtifactError(
            "manifest cannot be read", where=str(folder / MANIFEST), found=str(error), remedy=_REMEDY
        ) from None


def _read_description(folder: Path) -> ArtifactDescription:
    try:
        content = (folder / DESCRIPTION).read_bytes()
        return ArtifactDescription.model_validate_json(content, context={"where": str(folder / DESCRIPTION)})
    except FileNotFoundError:  # nor is it in the manifest
        raise ArtifactError(
            "artifact is incomplete", where=str(folder), expected=DESCRIPTION, remedy=_REMEDY
        ) from None
    except ValidationError as error:
        raise ArtifactError(
            "description cannot be read",
            where=str(folder / DESCRIPTION),
            expected="what this version of Lakeloop writes",
            found=str(error),
            remedy="serve it with the version that wrote it, or release the model again",
        ) from None


def _digests(folder: Path, manifest: Manifest) -> dict[str, str]:
    return {
        **{name: entry.sha256 for name, entry in manifest.files.items()},
        MANIFEST: sha256_file(folder / MANIFEST),
    }


def digest_of(manifest: Manifest) -> str:
    """The digest of the artifact with this manifest."""
    lines = (f"{name}\0{entry.sha256}\n" for name, entry in sorted(manifest.files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
