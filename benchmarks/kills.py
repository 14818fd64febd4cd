"""A server of several processes, one of which is killed each second: no request may fail that is sent twice.

    python -m benchmarks.kills [--seconds 60] [--processes 2] [--clients 4]

A tiny model, so that the processes and not the network are what is tried. Each client asks without a pause
and sends a request again, once, when its connection breaks. Printed: requests answered, failed and sent
again, and whether the lake has each answer that was given once a server started and stopped after it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.sides import machine
from tests.support.load import Load, kill_workers, logged
from tests.support.serving import ServerProcess, open_project, promote


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    os.environ["WANDB_MODE"] = "disabled"
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
        context = open_project(Path(work) / "project")
        promote(context, 1)
        server = ServerProcess.start(context.settings, processes=options.processes)
        try:
            with Load(server.url, clients=options.clients, retries=1) as load:
                killed = kill_workers(server.process.pid, options.seconds)
            status = server.terminate()
        finally:
            server.kill()
        rows = logged(context)
        waiting = sum(rows[name] == 0 for name in load.answered)
        # What a process was killed with lies in its spool on disk, for the next one that starts.
        again = ServerProcess.start(context.settings)
        try:
            again.terminate()
        finally:
            again.kill()
        rows = logged(context)
    lost = sum(rows[name] == 0 for name in load.answered)
    twice = sum(rows[name] > len(load.texts) for name in load.answered)
    print(
        f"{killed} processes of {options.processes} killed in {options.seconds:g} s: {len(load.answered)}"
        f" requests answered, {len(load.failures)} failed, {load.again} sent again; slowest"
        f" {load.slowest:.1f} s; on disk for the next start: {waiting}, not in the lake after it: {lost},"
        f" there twice, of requests that were sent again: {twice}; exit status {status}"
    )
    for failure in load.failures[:5]:
        print(failure)
    print(machine())
    return 1 if load.failures or lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
