"""An Airflow that can be imported in a test: an empty home, no examples, our plugins, nothing started."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

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
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(64),
    )
