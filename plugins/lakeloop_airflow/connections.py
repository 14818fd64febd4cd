"""Airflow's Connections for the library, which reads the environment and knows no Airflow."""

from __future__ import annotations

import os

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from lakeloop.spec.loop import LoopSpec


def lend_connection(loop: LoopSpec) -> None:
    """Put the Connections that the loop's sources name into the environment of this process, that of a task.

    One that is there already, or that Airflow does not have, is left alone; the source says what it misses.
    """
    for source in (loop.source, loop.labels):
        if name := getattr(source, "connection", None):
            _lend(name)


def _lend(name: str) -> None:
    variables = [f"{prefix}{name.upper()}" for prefix in ("LAKELOOP_CONN_", "AIRFLOW_CONN_")]
    if any(variable in os.environ for variable in variables):
        return
    try:
        os.environ[variables[1]] = Connection.get(name).as_json()
    except AirflowNotFoundException:
        return
