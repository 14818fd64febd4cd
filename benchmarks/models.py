"""CPU seconds of one `dbt build` in an Airflow task, and of the same with what is said of each model.

    python -m benchmarks.models [--rows 10000] [--repeat 3]

Both sides are a DAG of one task, run by Airflow in a process of its own, on equal DuckDB files with a day of
generated texts (`stories`). The one task calls dbt with `build` and nothing else; dbt finds the project
parsed. The other does what `transform` does between the rows of raw and those of staging: builds, groups the
log by model, counts the rows of each, and leaves model by model with tests and seconds as an XCom. Counted is
the process from the DAG's start to its end, with the import of dbt, and without Airflow's own.
"""

# ruff: noqa: PLC0415  (each side imports what it needs itself: imports are measured too)

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.checks import LOOP
from benchmarks.sides import Cost, cpu_seconds, in_a_process, machine, median, report_cost
from benchmarks.stories import DAY, write_drop

ROOT = Path(__file__).resolve().parents[1]
PLAIN, BY_MODEL = "one dbt build", "with each model"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3, help="the median of so many runs of each side")
    parser.add_argument("--side", choices=[PLAIN, BY_MODEL], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.folder)
        return 0
    costs: dict[str, list[Cost]] = {PLAIN: [], BY_MODEL: []}
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as name:
        folder = Path(name)
        prepare(folder, options.rows)
        for time in range(options.repeat + 1):
            for side, found in costs.items():
                shutil.copy(folder / "handed-over.duckdb", folder / "transform.duckdb")
                cost = in_a_process("benchmarks.models", ["--side", side, "--folder", name], {})
                found.extend([cost] if time else [])  # the first run of each parses the project
    table = Table(title=f"A day of {options.rows:,} rows, median of {options.repeat}")
    for column in ("side", "CPU s", "to one dbt build", "peak MB"):
        table.add_column(column, justify="left" if column == "side" else "right")
    medians = {side: median(found) for side, found in costs.items()}
    for side, cost in medians.items():
        ratio = f"{cost.work_seconds / medians[PLAIN].work_seconds:.2f}"
        table.add_row(side, f"{cost.work_seconds:.2f}", ratio, f"{cost.peak_mb:.0f}")
    Console().print(table, machine())
    return 0


def prepare(folder: Path, rows: int) -> None:
    """A dbt project with generated models, and a DuckDB file with the source."""
    import yaml

    from lakeloop.scratch.duckdb import open_duckdb
    from lakeloop.spec.loop import LoopSpec
    from lakeloop.transform.models import models_of, runnable
    from lakeloop.transform.source import hand_over

    loop = LoopSpec.model_validate(yaml.safe_load(LOOP))
    write_drop(folder / "drop.jsonl", rows)
    with open_duckdb(folder / "transform.duckdb") as connection:
        hand_over(connection, loop, _raw(folder / "drop.jsonl", loop))
    (folder / "transform.duckdb").rename(folder / "handed-over.duckdb")
    runnable(ROOT / "dbt", models_of(ROOT / "dbt", loop), (), folder / "project")


def _raw(drop: Path, loop: Any) -> Any:
    """Rows of the table raw, of lines that are whole."""
    import json

    import pyarrow as pa

    from lakeloop.lake.tables import raw_schema

    rows = []
    for number, line in enumerate(drop.read_text(encoding="utf-8").splitlines(), start=1):
        row = json.loads(line)
        row = {name: row.get(name) for name in ("id", "text", "label", "score")}
        if any(isinstance(value, dict | list) for value in row.values()):
            continue
        place = {"source_file": drop.name, "source_line": number, "partition": DAY, "row_hash": str(number)}
        rows.append({**row, **place, "at": None})
    return pa.Table.from_pylist(rows, raw_schema(loop))


_DAG_FILE = """\
from pathlib import Path

from airflow.sdk import DAG, task

from benchmarks import models

with DAG("bench", schedule=None) as dag:
    task(task_id="build")(lambda: models.SIDES[{side!r}](Path({folder!r})))()
"""


def run_side(side: str, folder: Path) -> None:
    """Run the DAG with the task of `side`, and print what it cost."""
    from tests.support.airflow import make_database, prepare_airflow, run_dag

    prepare_airflow()
    (folder / "dags").mkdir(exist_ok=True)
    file = folder / "dags/bench.py"
    file.write_text(_DAG_FILE.format(side=side, folder=str(folder)), encoding="utf-8")
    os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(file.parent)
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    make_database()
    bag = DagBag(file.parent, bundle_path=file.parent, bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    before = cpu_seconds()
    run = run_dag(bag.dags["bench"])
    assert run.state == "success", run.state
    report_cost(import_seconds=before)


def build_plainly(folder: Path) -> None:
    """What a task does that only calls dbt."""
    from dbt.cli.main import dbtRunner

    os.environ["LAKELOOP_DUCKDB"] = str(folder / "transform.duckdb")
    project = str(folder / "project")
    outcome = dbtRunner().invoke(
        [
            "build", "--project-dir", project, "--profiles-dir", project, "--select", "path:models/bench",
            "--exclude-resource-type", "unit_test", "--target-path", str(folder / "plain"),
            "--log-path", str(folder / "plain"), "--no-send-anonymous-usage-stats", "--no-version-check",
        ]
    )  # fmt: skip
    assert outcome.success


def build_by_model(folder: Path) -> list[dict[str, Any]]:
    """What `transform` does between rows of raw and of staging; returned for the XCom."""
    from lakeloop.scratch.duckdb import open_duckdb
    from lakeloop.spec.clean import Clean
    from lakeloop.transform.built import rows_of
    from lakeloop.transform.dbt import build
    from lakeloop.transform.page import DocsPage
    from lakeloop.transform.told import by_model

    database = folder / "transform.duckdb"
    nodes = build(
        folder / "project",
        database,
        loop="bench",
        clean=Clean(),
        target=folder / "by-model",
        cache=folder / "cache",
        docs=DocsPage(folder / "docs", "of these models"),
    )
    with open_duckdb(database, read_only=True) as connection:
        rows = rows_of(connection, nodes)
    return [model.model_dump(mode="json") for model in by_model(nodes, rows)]


SIDES: Mapping[str, Callable[[Path], Any]] = {PLAIN: build_plainly, BY_MODEL: build_by_model}


if __name__ == "__main__":
    sys.exit(main())
