"""The executor of one machine: LocalExecutor, with what the stages import loaded before it forks its workers.

A task is a fork of a worker, so it finds these modules there. Without that each task of `transform` spends
two seconds on imports, and each of `validate` three: more than their work takes on a day of the demo.
Airflow's fork server can load them too; measured side by side it was slower (README, "What Airflow costs").

It also serves the logs of running tasks to the API server, on the loopback address: Airflow's own log server
listens on every address of the machine.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing

from airflow.configuration import conf
from airflow.executors.local_executor import LocalExecutor

from lakeloop.garbage import collect_rarely

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
    """LocalExecutor that starts each task with the slow imports done, and shows logs to this machine only."""

    serve_logs = False
    """Airflow's own log server is not started."""

    log_server: multiprocessing.Process | None = None

    def start(self) -> None:
        collect_rarely()
        port = conf.getint("logging", "worker_log_server_port")
        # Ends with the scheduler.
        self.log_server = multiprocessing.Process(target=serve_logs_locally, args=(port,), daemon=True)
        self.log_server.start()
        # Where workers are forked from Airflow's own fork server, that one is told what to load.
        for name in PRELOADED if self.is_mp_using_fork else ():
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  (whatever a library does, the scheduler starts)
                self.log.warning("not loaded before the fork, each task does it itself: %s (%s)", name, error)
        # What stays is not looked at, and so not copied, in each fork.
        gc.freeze()
        super().start()

    def end(self) -> None:
        super().end()
        if self.log_server is not None:
            self.log_server.terminate()


def serve_logs_locally(port: int) -> None:
    """Airflow's log server, which asks for a signed token, on 127.0.0.1; until the process is ended.

    `[core] hostname_callable` must say 127.0.0.1 too: that is where the API server looks for the logs.
    """
    import uvicorn

    uvicorn.run(
        "airflow.utils.serve_logs.log_server:get_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        log_config=None,
        access_log=False,
    )
