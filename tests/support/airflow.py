"""An Airflow that can be imported in a test: an empty home, no examples, our plugins, nothing started."""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

ROOT = Path(__file__).resolve().parents[2]


def prepare_airflow() -> None:
    """Set the environment that Airflow reads once, at its first import; to be called before that."""
    if "AIRFLOW_HOME" in os.environ:
        return
    home = tempfile.mkdtemp(prefix="airflow-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
        # Within 30 seconds of the last time Airflow would write no DAG, whatever changed in it.
        AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL="0",
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(64),
    )


def make_database() -> None:
    """Airflow's tables, in a SQLite file in the home of `prepare_airflow`; those that are there stay."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


def store_dags() -> None:
    """Read the DAG files and write what they define to Airflow's database, as its DAG processor does."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    folder = ROOT / "dags"
    bag = DagBag(folder, bundle_path=folder, bundle_name="dags-folder")
    assert bag.import_errors == {}
    assert bag.dags
    sync_bag_to_db(bag, "dags-folder", None)


def run_dag(dag: DAG) -> DagRun:
    """Run all tasks of a DAG, triggers too, in this process; `make_database` comes before it.

    Once a browser was driven in this process, its main thread has a running event loop for good, and a
    trigger could not start one there; a thread of its own would not do, for a task takes signals.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        run: DagRun = dag.test()
        return run
    finally:
        asyncio._set_running_loop(loop)
