"""Training code for tests of searches: a job of a moment whose score follows from its learning rate.

The best learning rate is 1e-3. A score comes after each epoch, and the job ends early when it is told to.
Files of the project change it: `slow` (seconds of an epoch), `killed` (the next job kills itself),
`diverges` (learning rates above this number are refused).
"""

from __future__ import annotations

from pathlib import Path

from tests.support.keyword_job import DAY, begin_project, open_with, trainings

__all__ = ["DAY", "begin_search", "open_with", "trainings"]

JOB = """
import argparse, json, math, os, sys, time
from pathlib import Path
from tests.support.artifacts import make_artifact

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path)
path = parser.parse_args().config
config = json.loads(path.read_text())
train, own = config["train"], path.parent
rate, epochs = train.get("learning_rate") or 1e-4, train.get("epochs", 4)
with open("trainings", "a") as trainings:
    trainings.write(f"{rate:.6g}/{epochs}\\n")
if Path("diverges").exists() and rate > float(Path("diverges").read_text()):
    print("12:00:00 ERROR training diverged")
    sys.exit(64)
if Path("killed").exists():
    Path("killed").unlink()
    os.kill(os.getpid(), 9)
final = 0.9 - 0.2 * abs(math.log10(rate) + 3)
cost = {"wall_seconds": 1.5, "cpu_seconds": 2.5, "gpu_seconds": 0.0, "peak_memory_mb": 512.0}
result = {"seconds": 1.5, "cpu_seconds": 2.5, "cost": cost}
for epoch in range(1, epochs + 1):
    time.sleep(float(Path("slow").read_text()) if Path("slow").exists() else 0.0)
    with (own / "scores.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": epoch, "score": final - 0.1 / epoch}) + "\\n")
    if (own / "stop").exists():
        (own / "result.json").write_text(json.dumps({**result, "ended_early": True}))
        sys.exit(0)
scores = {"macro_f1": final, "accuracy": final, "loss": 1 - final}
card = json.loads(Path(config["dataset"], "dataset.json").read_text())
artifact = make_artifact(
    own / "artifact", config["task"]["labels"], candidate=config["candidate"]["name"],
    dataset_digest=card["digest"], validation_metrics=scores, seed=int(rate * 1e7) + epochs,
)
settings = {key: {"value": train.get(key), "origin": origin} for key, origin in config["origins"].items()}
result |= {"digest": artifact.digest, "method": "keywords", "metrics": scores, "device": "CPU",
           "run": "job-run", "settings": settings, "details": {}}
(own / "result.json").write_text(json.dumps(result))
"""


def begin_search(folder: Path) -> Path:
    """Make `folder` a project whose training code is `JOB`, with one published day and its data set."""
    begin_project(folder)
    (folder / "training" / "train.py").write_text(JOB)
    return folder
