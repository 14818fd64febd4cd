"""The Lakeloop pages without the rest of Airflow, in a process of their own, with a user who is logged in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USER = "ada"


@dataclass(frozen=True)
class Pages:
    """Pages that are served."""

    url: str
    """Of the overview."""
    token: str
    """Of the user `USER`, as Airflow's cookie has it."""


@contextmanager
def serving_pages(**environment: str) -> Iterator[Pages]:
    """Serve them on a free port of loopback, for the installation that `environment` describes."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LAKELOOP_", "AIRFLOW"))
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pages"],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": paths, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith("{"))
        yield Pages(**json.loads(said))
    finally:
        process.terminate()
        process.communicate(timeout=120)


def main() -> None:
    from tests.support.airflow import make_database, prepare_airflow

    prepare_airflow()

    import uvicorn
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi import FastAPI
    from lakeloop_airflow.links import MOUNT, page
    from lakeloop_ui.app import create_app

    manager = init_auth_manager()
    make_database()
    token = manager.generate_jwt(SimpleAuthManagerUser(username=USER, role="user"))
    root = FastAPI()
    root.mount(MOUNT, create_app())
    listening = socket.create_server(("127.0.0.1", 0))  # whoever asks from now on waits for the answer
    url = f"http://127.0.0.1:{listening.getsockname()[1]}{page('')}"
    sys.stdout.write(json.dumps({"url": url, "token": token}) + "\n")
    sys.stdout.flush()
    # Nobody reads on: a log that fills the pipe would stop the pages.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    uvicorn.Server(uvicorn.Config(root, log_level="warning")).run([listening])


if __name__ == "__main__":
    main()
