"""Training code for tests of the stage `train`: a job of a second that answers by the words in a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop

DAY = DAYS[0]

JOB = """
import argparse, json, os, sys
from pathlib import Path
from tests.support.artifacts import make_artifact

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path)
path = parser.parse_args().config
config = json.loads(path.read_text())
with open("trainings", "a") as trainings:
    trainings.write(config["candidate"]["name"] + "\\n")
if Path("exit").exists():
    print("12:00:00 ERROR no training row for tech")
    sys.exit(int(Path("exit").read_text()))
if Path("killed").exists():
    os.kill(os.getpid(), 9)
print("12:00:00 INFO epoch 1 of 1")
assert sorted(os.listdir(config["dataset"])) == ["dataset.json", "train.parquet", "validation.parquet"]
card = json.loads(Path(config["dataset"], "dataset.json").read_text())
scores = {"macro_f1": 0.9, "accuracy": 0.91, "loss": 0.3}
artifact = make_artifact(
    path.parent / "artifact", config["task"]["labels"], candidate=config["candidate"]["name"],
    dataset_digest=card["digest"],
    validation_metrics=scores, seed=config["train"].get("seed", 17),
)
result = {
    "digest": artifact.digest, "method": "keywords", "metrics": scores, "seconds": 1.5, "cpu_seconds": 2.5,
    "seconds_by_part": {"train": 1.0}, "device": "CPU", "dtype": "float32", "threads": 1, "run": "job-run",
    "settings": {key: {"value": 1, "origin": origin} for key, origin in config["origins"].items()},
    "cost": {
        "wall_seconds": 1.5, "cpu_seconds": 2.5, "gpu_seconds": 0.0, "peak_memory_mb": 512.0,
        **({"energy_joules": 36.0} if Path("energy").exists() else {}),
    },
    "details": {"epochs": [{"number": 1, "loss": 0.5, "validation": scores}]},
}
(path.parent / "result.json").write_text(json.dumps(result))
"""


def begin_project(folder: Path) -> Path:
    """Make `folder` a project whose training code is `JOB`, with one published day and its data set."""
    code = folder / "training"
    code.mkdir()
    (code / "__init__.py").touch()
    (code / "train.py").write_text(JOB)
    context = small_context(folder)
    publish(context, DAY, mart_rows(DAY, 60))
    dataset(context, DAY)
    return folder


def open_with(project: Path, **train_section: Any) -> StageContext:
    return small_context(project, small_loop(train=train_section))


def trainings(project: Path) -> list[str]:
    path = project / "trainings"
    return path.read_text().split() if path.exists() else []
