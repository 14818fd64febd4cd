"""What W&B's own tool reads back from the run files that the mirror wrote."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class WandbRun:
    """One offline run."""

    name: str
    config: dict[str, Any]
    summary: dict[str, Any]


def wandb_runs(wandb_dir: Path) -> list[WandbRun]:
    files = sorted(wandb_dir.glob("wandb/offline-run-*/*.wandb"))
    return [_read(file) for file in files]


def _read(file: Path) -> WandbRun:
    wandb = find_spec("wandb")
    assert wandb is not None
    assert wandb.origin is not None
    # What the command `wandb leet inspect` runs, after two seconds of imports.
    core = Path(wandb.origin).with_name("bin") / "wandb-core"
    argv = [
        str(core),
        "leet",
        "inspect",
        "--no-observability",
        "--json",
        "--summary",
        "--run-file",
        str(file),
    ]
    found = json.loads(subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout)
    return WandbRun(found["name"], found["config"], found["summary"])
