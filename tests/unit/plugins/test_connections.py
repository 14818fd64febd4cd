"""A Connection that Airflow keeps reaches the source of a loop, which reads the environment only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lakeloop_airflow.connections import lend_connection

from lakeloop.spec.loop import LoopSpec
from tests.support.complaints_api import Api, source_of
from tests.support.small_loop import small_loop

_LENT = """
import sys
sys.path[:0] = sys.argv[1:]
from lakeloop_airflow.connections import lend_connection
from lakeloop.sources.http.secrets import connection_named
from tests.unit.plugins.test_connections import loop_with
for name in ("nowhere", "complaints"):
    lend_connection(loop_with(name))
found = connection_named("complaints", "api.example")
print(found, found.password, found.extra)
"""


def loop_with(connection: str | None) -> LoopSpec:
    source = source_of(Api([], "https://api.example"), connection=connection)
    return small_loop(source=source, task={"text": "text", "label": "issue", "labels": ("Fees", "Fraud")})


def test_a_connection_of_airflows_secrets_backend_is_lent_to_the_process(root: Path, tmp_path: Path) -> None:
    kept = {"conn_type": "http", "host": "https://API.example", "password": "s3cret/x", "extra": {"key": 1}}
    (tmp_path / "connections.json").write_text(json.dumps({"complaints": kept}))
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__SECRETS__BACKEND": backend,
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
            {"connections_file_path": str(tmp_path / "connections.json")}
        ),
    }
    done = subprocess.run(
        [sys.executable, "-c", _LENT, str(root), str(root / "plugins")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "Connection(kind='http', host='api.example') s3cret/x {'key': '1'}"


def test_a_connection_in_the_environment_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_CONN_COMPLAINTS", "http://me:mine@api.example/")
    before = dict(os.environ)
    lend_connection(loop_with("complaints"))
    lend_connection(loop_with(None))
    assert dict(os.environ) == before
