"""A DAG is the same bytes on every host: Airflow keeps a new version of it for each byte that differs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from lakeloop.stages.catalogue import DAGS
from tests.support.airflow import ROOT, make_database, store_dags

pytestmark = pytest.mark.slow

_PRINT = """
import json, pathlib, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
folder = pathlib.Path(sys.argv[1])
bag = DagBag(folder, bundle_path=folder, bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
for dag_id, dag in sorted(bag.dags.items()):
    data = DagSerialization.to_dict(dag)
    for name in ("fileloc", "_processor_dags_folder"):  # where the file is, which Airflow adds
        assert data["dag"].pop(name).startswith(str(folder))
    print("DAG", dag_id, json.dumps(data, sort_keys=True))  # sorted, as Airflow stores it
"""


def serialised(root: Path, home: Path, seed: int, **environment: str) -> list[str]:
    """A line for each DAG below `root`, read by a process of its own."""
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _PRINT, str(root / "dags")],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": str(root / "plugins"),
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
            "LAKELOOP_ROOT": str(root),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("DAG ")]


def test_another_folder_another_host_and_another_hash_seed_make_the_same_bytes(tmp_path: Path) -> None:
    here = serialised(ROOT, tmp_path / "a", 1)
    there = tmp_path / "elsewhere" / "project"
    for folder in ("dags", "plugins", "loops", "dbt"):
        shutil.copytree(ROOT / folder, there / folder, ignore=shutil.ignore_patterns("__pycache__", "target"))
    other = serialised(
        there,
        tmp_path / "b",
        2,
        TZ="Asia/Tokyo",
        LAKELOOP_LAKE="s3://bucket/lake",
        LAKELOOP_AIRFLOW_URL="https://airflow.example.org/team",
        AIRFLOW__API__BASE_URL="https://airflow.example.org/team",
    )
    assert len(here) == len(other) == len(DAGS)
    for mine, theirs in zip(here, other, strict=True):
        assert mine == theirs


def stored() -> dict[str, tuple[str, datetime]]:
    """Of each DAG the hash of what Airflow's database holds, and when that was written."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(SerializedDagModel)).all()
        found = {row.dag_id: (row.dag_hash, row.last_updated) for row in rows}
    assert len(rows) == len(found) == len(DAGS), "one version of each"
    return found


def test_a_hundred_parses_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_database()
    store_dags()
    before = stored()
    rounds = 17  # of all files each
    for _ in range(rounds):
        store_dags()
    assert stored() == before

    text = (ROOT / "loops/news/loop.yaml").read_text()
    (tmp_path / "loops/news").mkdir(parents=True)
    (tmp_path / "loops/news/loop.yaml").write_text(f'{text}\nschedule: {{cron: "5 2 * * *"}}\n')
    monkeypatch.setenv("LAKELOOP_ROOT", str(ROOT))
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path / "loops"))
    store_dags()
    changed = {dag_id for dag_id, row in stored().items() if row != before[dag_id]}
    assert changed == {"news.ingest"}, "a change is seen, and only where it is"
