"""Labels that are held back: how much is answered, how much of it right, and which texts are turned away.

    python -m benchmarks.abstain --data FOLDER [--methods classical head]

FOLDER holds `train.csv` and `test.csv`, as for `benchmarks.train`. Every seventh class is out of scope: no
model learns it, and the rows of `test.csv` that are of it have none of the labels. A model learns the other
classes, its thresholds are chosen on a tenth of the rows of `train.csv`, and what they are worth is measured
on `test.csv`, by the stages' own code.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.jobs import job_config
from benchmarks.sides import machine
from benchmarks.train import read_rows
from lakeloop.artifact import open_artifact
from lakeloop.evaluation.grids import cell
from lakeloop.evaluation.judge import Beyond, Contender, Judged, judge
from lakeloop.evaluation.probes.abstention import Abstention
from lakeloop.measures.base import shown_with
from lakeloop.spec.tasks import Classification
from lakeloop.spec.train import Train
from lakeloop.tasks.registry import task_of
from training import job
from training.train import train

EVERY = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--methods", nargs="+", default=["classical", "head"])
    parser.add_argument("--calibration", default="none", help="as train.calibration")
    options = parser.parse_args()
    for method in options.methods:
        with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
            Console().print(_looked_at(options.data, Path(work), method, options.calibration), machine())
    return 0


def _looked_at(data: Path, work: Path, method: str, calibration: str) -> Table:
    learnt, validating, asked = read_rows(data)
    classes = sorted(learnt["label"].unique())
    strange = set(classes[::EVERY])
    known = [name for name in classes if name not in strange]
    (work / "dataset").mkdir()
    for split, rows in (("train", learnt), ("validation", validating)):
        _within(rows, strange).to_parquet(work / "dataset" / f"{split}.parquet", index=False)
    (work / "dataset/dataset.json").write_text(json.dumps({"digest": "d" * 64}))
    section = Train.model_validate({"method": method, "max_tokens": 64, "calibration": calibration})
    (work / "config.json").write_text(job_config(section, work, known, "accuracy").model_dump_json())
    job.run(work / "config.json", train)
    artifact = open_artifact(work / "artifact")
    task = task_of(Classification(kind="classification", text="text", label="label", labels=tuple(known)))
    tables = [
        pa.Table.from_pandas(_within(rows, strange), preserve_index=False) for rows in (validating, asked)
    ]
    strangers = tuple(asked[asked["label"].isin(strange)]["text"])
    model = judge(
        Contender(method, artifact.digest, "x"),
        artifact.folder,
        tables[1],
        task,
        threads=1,
        beyond=Beyond(tables[0], strangers),
    )
    found = Abstention().look(model, tables[1], task)
    (grid,) = found.tables
    name = "out_of_scope_auc"
    title = f"{method}, {model.outcomes.rows} test rows, {len(strangers)} out of scope: {_score(model)}"
    table = Table(title=f"{title}, AUC {shown_with(found.scores[name], found.intervals[name])}")
    for column in grid.columns:
        table.add_column(column)
    for row in grid.rows:
        table.add_row(*map(cell, row))
    return table


def _score(model: Judged) -> str:
    return f"accuracy {(model.outcomes.answer == model.outcomes.truth).mean():.4f}"


def _within(rows: pd.DataFrame, strange: set[str]) -> pd.DataFrame:
    return rows[~rows["label"].isin(strange)]


if __name__ == "__main__":
    raise SystemExit(main())
