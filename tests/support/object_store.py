"""A real S3 server on loopback, for the time of a test session."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from lakeloop.local.airflow_env import free_port

KEY, SECRET = "loop-reader", "s3cret/key+word"


@dataclass(frozen=True)
class S3:
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """The variables with which a client comes in."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def bucket(self, name: str) -> Any:
        """A new, empty bucket: the store of it."""
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        config: Any = {key.lower(): value for key, value in self.variables.items() if "ALLOW" not in key}
        return S3Store(name, config=config, client_options={"allow_http": True})


def put(store: Any, path: str, content: bytes | str) -> None:
    obstore.put(store, path, content.encode() if isinstance(content, str) else content)


class ServerProcess:
    """The server on a free port of loopback; what it keeps, it keeps in `folder`, also when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.s3 = S3(free_port())
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.s3.port)}
        environment |= {"SERVICES": "s3", "IOT_MTLS_ENABLED": "false", "SFTP_ENABLED": "false"}
        environment |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(self._folder / "data")}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                env={**environment, "TMPDIR": str(self._folder)},
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        _await(self.s3.port, self._process, self._folder / "log")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=60)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """The server, until the block ends."""
    server = ServerProcess(folder)
    try:
        server.start()
        yield server.s3
    finally:
        server.stop()


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace"))
