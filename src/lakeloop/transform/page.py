"""dbt's own page about the models of a loop: one file, made again when the models are others.

It is about the project and not about a day, so most days cost nothing for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakeloop.durable import write_atomically

PAGE = "index.html"
_DIGEST = "models.sha256"


@dataclass(frozen=True)
class DocsPage:
    """The page in `folder`, of the models whose digest is `digest`."""

    folder: Path
    digest: str

    @property
    def file(self) -> Path:
        return self.folder / PAGE

    @property
    def is_due(self) -> bool:
        """There is none yet, or it is of other models."""
        try:
            return (self.folder / _DIGEST).read_text() != self.digest or not self.file.is_file()
        except OSError:
            return True

    def write(self, content: bytes) -> None:
        write_atomically(self.file, content)
        write_atomically(self.folder / _DIGEST, self.digest)
