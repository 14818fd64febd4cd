"""What lies in the folders of a lake."""

from __future__ import annotations

from pathlib import Path

from lakeloop.lake.files import LakeFiles


def stored_names(files: LakeFiles, prefix: str) -> list[str]:
    """Names of the whole folders directly below `prefix` of a lake on a local disk, sorted."""
    manifests = Path(files.uri(prefix)).glob("*.manifest.json")
    return sorted(f"{prefix}/{path.name.removesuffix('.manifest.json')}" for path in manifests)
