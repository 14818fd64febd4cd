"""Reading the DAG files: what it imports, what it costs, and what a broken loop file does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from lakeloop_airflow.approval import AskOperator

from tests.support.airflow import ROOT

FILES = sorted((ROOT / "dags").glob("*.py"))
HEAVY = (
    "dbt", "deltalake", "duckdb", "fastapi", "great_expectations", "numpy", "onnxruntime", "pandas",
    "pyarrow", "sklearn", "torch", "transformers", "wandb",
)  # fmt: skip
MODULES = 180
"""That reading a file imports, Airflow's own not counted; 83 to 146 were seen. The scheduler's machine reads
each file every minute, and what it imports is what that costs."""

_READ = """
import json, os, runpy, sys
from airflow.sdk import DAG, Asset, BaseOperator, Param, PartitionedAssetTimetable
sys.path.insert(0, "plugins")
heavy, files = json.loads(sys.argv[1]), sys.argv[2:]
for file in files:
    if os.fork():
        os.wait()
        continue
    before = set(sys.modules)
    runpy.run_path(file)
    modules = [name for name in set(sys.modules) - before if name.split(".")[0] != "airflow"]
    found = len(modules), sorted(set(heavy) & set(sys.modules))
    print(json.dumps([file, *found]), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def read() -> dict[str, tuple[int, list[str]]]:
    """Of each file how many modules and which heavy ones it imports, after Airflow and nothing else."""
    argv = [sys.executable, "-c", _READ, json.dumps(HEAVY), *map(str, FILES)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    lines = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    return {file: (modules, heavy) for file, modules, heavy in lines}


def test_there_is_a_file_for_each_stage_and_one_that_checks_the_loop_files() -> None:
    names = ["deploy", "ingest", "loop_files", "maintenance", "monitor", "score", "train", "transform"]
    assert [file.stem for file in FILES] == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_imports_little_and_nothing_heavy(read: dict[str, tuple[int, list[str]]], file: Path) -> None:
    modules, heavy = read[str(file)]
    assert not heavy, (
        f"{file.name} imports {', '.join(heavy)}: move the import into the function that needs it"
    )
    assert 0 < modules < MODULES


def test_no_stem_below_plugins_hides_a_package() -> None:
    # The plugin loader registers each file that .airflowignore does not name under its bare stem.
    ignored = {line.strip("/ \n") for line in (ROOT / "plugins/.airflowignore").open() if line[0] != "#"}
    loaded = {path.stem for path in (ROOT / "plugins").glob("*.py")}
    folders = {path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists()}
    assert folders == ignored == {"lakeloop_airflow", "lakeloop_ui"}
    assert loaded == {"lakeloop_plugin"}


@pytest.fixture
def loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of loop files that holds `news`."""
    shutil.copytree(ROOT / "loops" / "news", tmp_path / "loops" / "news")
    monkeypatch.setenv("LAKELOOP_ROOT", str(ROOT))
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path / "loops"))
    return tmp_path / "loops"


def test_a_second_loop_gets_dags_of_its_own(loops: Path) -> None:
    text = (loops / "news" / "loop.yaml").read_text()
    (loops / "sport").mkdir()
    (loops / "sport" / "loop.yaml").write_text(text.replace("name: news", "name: sport"))
    found = DagBag(ROOT / "dags")
    assert len(found.dags) == 14
    assert found.import_errors == {}


def test_a_broken_loop_file_is_shown_and_leaves_the_other_loops_alone(loops: Path) -> None:
    (loops / "sport").mkdir()
    (loops / "sport" / "loop.yaml").write_text("name: sport\nsauce: {kind: files}\n")
    found = DagBag(ROOT / "dags")
    assert {dag_id.split(".")[0] for dag_id in found.dags} == {"news"}
    assert len(found.dags) == 7
    (file, message), *others = found.import_errors.items()
    assert not others
    assert file.endswith("loop_files.py")
    assert "sport" in message
    assert "sauce" in message
    assert "source" in message


def test_a_loop_that_asks_a_person_has_a_task_for_it_before_the_release(loops: Path) -> None:
    text = (loops / "news" / "loop.yaml").read_text()
    asks = "approval: {kind: human, users: [ada], hours: 2, otherwise: approve}\n"
    (loops / "news" / "loop.yaml").write_text(text + asks)
    found = DagBag(ROOT / "dags")
    assert found.import_errors == {}
    dag = found.dags["news.deploy"]
    ask, release = dag.get_task("approve"), dag.get_task("release")
    assert release.upstream_task_ids == {"approve"}
    assert release.trigger_rule == "none_failed"
    assert isinstance(ask, AskOperator)
    assert list(ask.serialized_params) == ["reason"]
    assert (ask.otherwise, ask.response_timeout) == (["Approve"], timedelta(hours=2))
    assert ask.defaults is None, "no answer is the main button of Airflow's page"
    assert ask.assigned_users == [{"id": "ada", "name": "ada"}]
