"""Model servers that `down` does not stop are named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakeloop.local.by_hand import servers_by_hand
from lakeloop.settings import get_settings

LISTENS = """
import socket, time
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
time.sleep(60)
"""
Start = Callable[..., tuple[int, int]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that listens, with these words behind its own; its id and port."""
    begun: list[subprocess.Popen[str]] = []

    def start(folder: Path, *words: str, **environment: str) -> tuple[int, int]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("LAKELOOP_")}
        process = subprocess.Popen(
            [sys.executable, "-c", LISTENS, *words],
            cwd=folder,
            env={**known, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        assert process.stdout is not None
        return process.pid, int(process.stdout.readline())

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_a_server_of_this_home_is_named_with_its_process_and_port(tmp_path: Path, start: Start) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    settings = get_settings(root=here, home=here / "home")
    first = start(here, "lakeloop.cli.main", "serve", "news")
    second = start(there, "/usr/bin/lakeloop", "serve", LAKELOOP_HOME=str(here / "home"))
    start(there, "lakeloop.cli.main", "serve")
    start(here, "lakeloop.cli.main", "status")
    start(here, "lakeloop.cli.main", "serve", LAKELOOP_HOME="elsewhere")
    found = {(server.pid, *server.ports): server.sentence for server in servers_by_hand(settings)}
    assert set(found) == {first, second}
    pid, port = first
    assert found[first].startswith(
        f"left alone: the model server that was started by hand, process {pid}, port {port}; end it"
    )
