"""What a training needs of the devices of its machine, and how long it will probably take."""

from __future__ import annotations

import importlib.util
import re
import statistics
from pathlib import Path

from lakeloop.jobs.admission import Need
from lakeloop.spec.train import Candidate
from lakeloop.stages.frame.session import StageContext

_LAST = 5
"""Trainings of a candidate that tell how long the next will take."""
_CUDA = re.compile(r"^cuda\b[^=]*= *['\"]", re.MULTILINE)


def need_of(context: StageContext, candidate: Candidate, stage: str, partition: str) -> Need | None:
    """What the training `stage` of a partition needs; None where it could use no device if there was one."""
    train = context.loop.train
    usual = train.processes if train.launcher_of(candidate) == "torchrun" else 1
    if not torch_uses_devices():
        return None
    return Need(
        devices=usual if train.devices is None else train.devices,
        memory_bytes=train.memory_bytes,
        title=f"{context.loop.name} {stage} {partition}",
        seconds=expected_seconds(context, stage),
    )


def expected_seconds(context: StageContext, stage: str) -> float | None:
    """The median of the last trainings of this candidate; None before the first."""
    done = context.lake.ledger.entries(stage, status="done")
    taken = [entry.metrics["seconds"] for entry in done if entry.metrics.get("seconds")]
    return statistics.median(taken[-_LAST:]) if taken else None


def torch_uses_devices() -> bool:
    """Whether the installed torch was built for NVIDIA devices; read, since its import takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version = Path(spec.origin).with_name("version.py")
    return version.is_file() and _CUDA.search(version.read_text()) is not None
