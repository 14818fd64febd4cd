"""Models of both tasks, judged on a few rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.artifact import Artifact
from lakeloop.evaluation.judge import Contender, Judged, judge
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.registry import task_of
from tests.support.artifacts import make_artifact, make_number_artifact
from tests.support.number_loop import WORDS, number_loop
from tests.support.small_loop import LABELS, small_loop

ROWS = pa.table(
    {
        "row_id": ["r1", "r2", "r3", "r4"],
        "text": ["business news", "a sports day", "<script>alert('tech')</script>", "sports sports tech"],
        "label": ["business", "sports", "tech", "tech"],
    }
)
OLD = ("business", "gadgets")
"""Labels of a champion that was trained before the task's labels changed."""
NUMBERS = pa.table(
    {
        "row_id": [f"n{number}" for number in range(12)],
        "text": ["good", "bad", "good good", "so so", "bad bad", "good bad"] * 2,
        "target": [1.0, -1.0, 2.0, 0.25, -2.0, 0.0, 1.5, -1.0, 2.0, 0.0, -2.0, 0.0],
    }
)


def judged(artifact: Artifact, name: str, version: str | None = None) -> Judged:
    """`artifact` on the rows of its task."""
    contender = Contender(name, artifact.digest, f"candidates/{name}", version)
    labels = artifact.description.contract.kind == "classification"
    task = task_of((small_loop() if labels else number_loop()).task)
    return judge(contender, artifact.folder, ROWS if labels else NUMBERS, task, threads=1)


@pytest.fixture
def models(tmp_path: Path) -> list[Judged]:
    """A good baseline, a fine-tune that takes tech for business, and a champion with other labels."""
    return [
        judged(make_artifact(tmp_path / "good", LABELS), "baseline"),
        judged(make_artifact(tmp_path / "confused", LABELS, confuse={"tech": "business"}), "finetune"),
        judged(
            make_artifact(tmp_path / "old", OLD, keywords={"news": "business", "day": "gadgets"}),
            "champion",
            "v3",
        ),
    ]


@pytest.fixture
def number_models(tmp_path: Path) -> list[Judged]:
    """A good baseline, and a champion that answers one too much."""
    return [
        judged(make_number_artifact(tmp_path / "good", WORDS), "baseline"),
        judged(make_number_artifact(tmp_path / "over", WORDS, base=1.0), "champion", "v3"),
    ]


@pytest.fixture
def loop() -> LoopSpec:
    return small_loop()
