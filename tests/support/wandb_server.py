"""A loopback server that speaks the part of W&B's protocol that a run needs, and keeps what it was told.

It exists because no W&B server can be had offline: it lets the real client run online against something.
Lines of history are kept by their offset, as W&B does, so a line sent twice is one line and a line lost is a
gap. `silent_server` plays the one that is away: it accepts connections and never answers.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ENTITY = {"id": "e1", "name": "testers"}


@dataclass
class StoredRun:
    attributes: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Offset -> row."""
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    """None while it runs."""

    @property
    def config(self) -> dict[str, Any]:
        return {key: item["value"] for key, item in json.loads(self.attributes["config"]).items()}


@dataclass
class WandbServer:
    url: str
    stop: Callable[[], None]
    """Be away from now on."""
    runs: dict[str, StoredRun] = field(default_factory=dict)

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of one GraphQL answer."""
        if operation == "RunResumeStatus":
            return {"model": {"id": "p1", "entity": _ENTITY, "bucket": self._resume(variables["name"])}}
        if operation == "UpsertBucket":
            return {"upsertBucket": self._upsert(variables)}
        if operation == "CreateRunFiles":
            return {"createRunFiles": {"runID": "r1", "uploadHeaders": [], "files": []}}
        return {}

    def stream(self, name: str, message: dict[str, Any]) -> None:
        """Take one message of the file stream."""
        run = self.runs[name]
        for file, chunk in (message.get("files") or {}).items():
            rows = [json.loads(line) for line in chunk["content"]]
            if file == "wandb-history.jsonl":
                run.history.update(enumerate(rows, start=chunk["offset"]))
            elif file == "wandb-summary.json":
                run.summary = rows[-1]
        if message.get("complete"):
            run.exit_code = message["exitcode"]

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StoredRun())
        run.attributes.update({key: value for key, value in variables.items() if value is not None})
        project = {"id": "p1", "name": variables["project"], "entity": _ENTITY}
        return {"bucket": {"id": "r1", "name": name, "project": project}, "inserted": inserted}

    def _resume(self, name: str) -> dict[str, Any] | None:
        if name not in self.runs:
            return None
        history = self.runs[name].history
        tail = [json.dumps(history[max(history)])] if history else []
        return {
            "id": "r1", "name": name, "config": self.runs[name].attributes["config"], "summaryMetrics": "{}",
            "logLineCount": 0, "eventsLineCount": 0, "eventsTail": "[]",
            "historyLineCount": len(history), "historyTail": json.dumps(tail), "wandbConfig": '{"t": 1}',
        }  # fmt: skip


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """A W&B server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            parts = self.path.split("/")
            if parts[-1] == "graphql":
                answer = {"data": kept.answer(body["operationName"], body["variables"])}
            else:
                kept.stream(parts[-2], body)
                answer = {}
            content = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:

        def stop() -> None:
            server.shutdown()
            server.server_close()

        kept = WandbServer(f"http://127.0.0.1:{server.server_port}", stop)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield kept
        finally:
            server.shutdown()


@contextmanager
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
