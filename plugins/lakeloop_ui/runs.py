"""What is known on this disk about one W&B run: its journal, and the folder that the mirror made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakeloop.tracking.journal import read_journal
from lakeloop.tracking.progress import mirrored


@dataclass
class RunPage:
    """Values of the page of one run."""

    journal: Path
    url: str = ""
    """Of the run at W&B, when it was mirrored online."""
    folder: Path | None = None
    """The offline run, when it was mirrored offline."""
    files: list[tuple[str, int]] = field(default_factory=list)
    """Names and bytes of the files in `folder`."""
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    """The last value of each."""
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)


def run_page(journal: Path) -> RunPage:
    """The values for the run that `journal` tells of.

    Raises:
        DataError: the file is no journal.
    """
    run = RunPage(journal)
    if done := mirrored(journal):
        if done.mode == "online" and done.run.startswith(("https://", "http://")):
            run.url = done.run
        elif done.run and (folder := Path(done.run)).is_dir():
            run.folder, run.files = folder, _files(folder)
    for entry in read_journal(journal):
        match entry.kind:
            case "config":
                run.config |= entry.data
            case "log":
                run.metrics |= entry.data["metrics"]
            case "summary":
                run.summary |= entry.data
            case "artifact":
                run.artifacts.append(entry.data)
    return run


def _files(folder: Path) -> list[tuple[str, int]]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted((path.relative_to(folder).as_posix(), path.stat().st_size) for path in found)
