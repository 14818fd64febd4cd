"""A project that an earlier commit left behind, and today's command and settings on it.

`tests/fixtures/make_yesterday.py` made the archive with that commit's own code, and says what is in it.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakeloop.settings import Settings
from tests.support.command import Ended, run_lakeloop

ARCHIVE = Path(__file__).resolve().parents[1] / "fixtures" / "yesterday.tar.xz"


@dataclass(frozen=True)
class Yesterday:
    """The project, unpacked; `expected` is what its own code said of it."""

    settings: Settings
    expected: dict[str, Any]

    @classmethod
    def unpack(cls, root: Path) -> Yesterday:
        """The project in the folder `root`; the training code is today's, as after an upgrade."""
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(root, filter="data")
        (root / "training").symlink_to(Path(__file__).resolve().parents[2] / "training")
        return cls(Settings(root=root, training_threads=1), json.loads((root / "expected.json").read_bytes()))

    @property
    def loop(self) -> str:
        return str(self.expected["loop"])

    @property
    def last_day(self) -> str:
        return str(self.expected["days"][-1])

    def lakeloop(self, *argv: str) -> Ended:
        """Run the command in this process."""
        env = {
            "LAKELOOP_ROOT": str(self.settings.root),
            "LAKELOOP_SERVER_URL": self.settings.server_url,
            "LAKELOOP_TRAINING_THREADS": "1",
        }
        return run_lakeloop(argv, env)

    def stage(self, verb: str, day: str, *options: str) -> dict[str, Any]:
        """The record of a stage that is run for a day, as the command prints it."""
        ended = self.lakeloop(verb, self.loop, "--partition", day, *options, "--json")
        assert ended.code == 0, ended.err
        record: dict[str, Any] = json.loads(ended.out)
        return record

    def status(self) -> dict[str, Any]:
        ended = self.lakeloop("status", self.loop, "--json")
        assert ended.code == 0, ended.err
        status: dict[str, Any]
        (status,) = json.loads(ended.out)
        return status
