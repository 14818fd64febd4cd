"""Decisions of the gate in the lake, each a folder named by its digest; and the decision of a record."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.durable import write_atomically
from lakeloop.gate.decide import Decision

if TYPE_CHECKING:
    from lakeloop.lake.files import LakeFiles
    from lakeloop.records import StageRecord

OUTPUT = "decision"
"""Among the outputs of the record of a release: the folder in the lake that has the decision."""
SUPERSEDED = "superseded_by"
"""Among the outputs of a release that decided nothing because a person is asked about a newer candidate: the
day of that one."""
_FILE = "decision.json"


def store_decision(files: LakeFiles, decision: Decision, scratch: Path) -> str:
    """Put `decision` into the lake and return the name of its folder; `scratch` is an empty folder."""
    content = decision.model_dump_json(indent=2) + "\n"
    name = f"decisions/{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    write_atomically(scratch / _FILE, content)
    files.put(scratch, name)
    return name


def is_decided(entry: StageRecord) -> bool:
    """Whether this is the record of a release that ended a candidate's standing before the gate."""
    decided = entry.status in ("done", "refused") or SUPERSEDED in entry.outputs
    return entry.stage == "release" and decided


def decision_of(files: LakeFiles, release: StageRecord) -> Decision | None:
    """The decision that a release carried out; None of a release that kept none.

    Raises:
        ArtifactError: the decision is not in the lake, or not as it was stored.
    """
    name = release.outputs.get(OUTPUT)
    if not name:
        return None
    return Decision.model_validate_json(files.read(name, _FILE), context={"where": files.uri(name)})
