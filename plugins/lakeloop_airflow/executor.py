"""The executor of one machine: LocalExecutor, with what the stages import loaded before it forks its workers.

A task is a fork of a worker, so it finds these modules there. Without that each task of `transform` spends
two seconds on imports, and each of `validate` three: more than their work takes on a day of the demo.
"""

from __future__ import annotations

import importlib

from airflow.executors.local_executor import LocalExecutor

PRELOADED = (
    "pandas",
    "pyarrow.dataset",
    "dbt.cli.main",
    "dbt.task.build",
    "lakeloop.quality",  # quietens the next one
    "great_expectations.expectations.core",
)
"""Slow to import, and safe to fork. Not deltalake and duckdb, whose threads a fork would lose: they load in
50 ms. Not our own stages: what is edited there holds for the next task, without a restart."""


class PreloadingExecutor(LocalExecutor):
    """LocalExecutor that starts each task with the slow imports done."""

    def start(self) -> None:
        for name in PRELOADED:
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  (whatever a library does, the scheduler starts)
                self.log.warning("not loaded before the fork, each task does it itself: %s (%s)", name, error)
        super().start()
