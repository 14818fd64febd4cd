"""What measured comparisons share: a side is a process of its own, and what it cost.

The process runs `python -m <module of the benchmark> --side <name> ...` and ends with `report_cost`.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    cpu_seconds: float
    """Of all its threads, with the start of Python and all imports."""
    peak_mb: float
    import_seconds: float = 0.0
    """The part of `cpu_seconds` that went by until everything was imported."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """What the side says of its result."""

    @property
    def work_seconds(self) -> float:
        """CPU seconds without the start of Python and the imports."""
        return self.cpu_seconds - self.import_seconds


def in_a_process(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a side and return its cost, which it prints as its last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "WANDB_MODE": "disabled", **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def report_cost(import_seconds: float = 0.0, found: Mapping[str, Any] | None = None) -> None:
    """Print what this process has cost until now."""
    print(json.dumps(asdict(Cost(cpu_seconds(), _peak_mb(), import_seconds, dict(found or {})))))


def cpu_seconds() -> float:
    """Of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure; `found` is that of the last."""
    figures = ("cpu_seconds", "peak_mb", "import_seconds")
    return Cost(
        **{name: statistics.median(getattr(cost, name) for cost in costs) for name in figures},
        found=costs[-1].found,
    )


def machine() -> str:
    """For the foot of a table."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {datetime.now(UTC):%Y-%m-%d}"


def _peak_mb() -> float:
    # Not getrusage where it can be helped: its peak begins with that of the parent process.
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
