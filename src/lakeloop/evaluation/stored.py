"""Evidence in the lake: a folder named by its digest; and the evidence that a record stands for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.evaluation.yesterday import lift
from lakeloop.evidence import EVIDENCE, Evidence

if TYPE_CHECKING:
    from lakeloop.lake.files import LakeFiles
    from lakeloop.records import StageRecord

OUTPUT = "evidence_digest"
"""Output in the record of an evaluation that holds the digest of its evidence."""


def folder_of(digest: str) -> str:
    """Name in the lake of the evidence with this digest."""
    return f"evidence/{digest[:16]}"


def store(files: LakeFiles, evidence: Evidence, scratch: Path) -> str:
    """Put `evidence` into the lake and return its digest; `scratch` is an empty folder."""
    content = evidence.model_dump_json() + "\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    write_atomically(scratch / EVIDENCE, content)
    files.put(scratch, folder_of(digest))
    return digest


def read(files: LakeFiles, digest: str) -> Evidence:
    """The evidence with this digest.

    Raises:
        ArtifactError: it is not in the lake, is not what was stored, or a later version of Lakeloop wrote it.
    """
    name = folder_of(digest)
    content = files.read(name, EVIDENCE)
    if (found := hashlib.sha256(content).hexdigest()) != digest:
        raise ArtifactError(
            "this is not the evidence that is meant",
            where=files.uri(name),
            expected=f"digest {digest}",
            found=f"digest {found}",
            remedy="evaluate again",
        )
    try:
        return Evidence.model_validate_json(content, context={"where": files.uri(name)})
    except ValidationError as error:
        raise ArtifactError(
            "the evidence cannot be read", where=files.uri(name), found=str(error), remedy="evaluate again"
        ) from None


def evidence_of(files: LakeFiles, evaluation: StageRecord) -> Evidence:
    """The evidence of the evaluation with this record, also of one that is older than evidence.

    Raises:
        ArtifactError: as `read` does.
    """
    digest = evaluation.outputs.get(OUTPUT)
    return read(files, digest) if digest else lift(evaluation)
