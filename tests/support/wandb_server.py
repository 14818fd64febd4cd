"""A loopback server that speaks the part of W&B's protocol that a run needs, and keeps what it was told.

It exists because no W&B server can be had offline: it lets the real client run online against something.
Lines of history are kept by their offset, as W&B does, so a line sent twice is one line and a line lost is a
gap. It takes files, tables and artifacts, and can be told to answer some requests with an error, or late.
`silent_server` plays the one that is away: it accepts connections and never answers.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
_ENTITY = {"id": "e1", "name": "testers"}


@dataclass
class StoredRun:
    attributes: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Offset -> row."""
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """Name -> what was uploaded."""
    exit_code: int | None = None
    """None while it runs."""

    @property
    def config(self) -> dict[str, Any]:
        return {key: item["value"] for key, item in json.loads(self.attributes["config"]).items()}


@dataclass
class StoredArtifact:
    described: dict[str, Any]
    """What the client says of it: name, type, run, metadata."""
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False


def _no_trouble(what: str, run: str) -> int:
    return 200


@dataclass
class WandbServer:
    url: str
    stop: Callable[[], None]
    """Be away from now on."""
    runs: dict[str, StoredRun] = field(default_factory=dict)
    artifacts: dict[str, StoredArtifact] = field(default_factory=dict)
    """By id."""
    trouble: Callable[[str, str], int] = _no_trouble
    """What is asked (a GraphQL operation, `stream` or `upload`) and the id of the run -> status to answer."""
    delay: float = 0.0
    """Seconds before each answer."""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """Each request: what, of which run, and the status it was answered with."""

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The data of one GraphQL answer; nothing for a question that may go without one."""
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Viewer": lambda _: {"viewer": {**_ENTITY, "username": "tester", "flags": "{}"}},
            "ArtifactType": lambda _: {"project": {"artifact": None}},
            "RunResumeStatus": lambda asked: {"model": self._resume(asked["name"])},
            "UpsertBucket": lambda asked: {"upsertBucket": self._upsert(asked)},
            "CreateRunFiles": lambda asked: {"createRunFiles": self._run_files(asked)},
            "CreateArtifact": lambda asked: {"createArtifact": {"artifact": self._artifact(asked["input"])}},
            "CreateArtifactManifest": lambda asked: {
                "createArtifactManifest": {"artifactManifest": self._manifest(asked["artifactID"])}
            },
            "CreateArtifactFiles": lambda asked: {
                "createArtifactFiles": {"files": self._files(asked["input"])}
            },
            "CommitArtifact": lambda asked: {
                "commitArtifact": {"artifact": self._commit(asked["artifactID"])}
            },
        }
        return answers.get(operation, lambda _: {})(asked)

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

    def upload(self, kind: str, owner: str, name: str, content: bytes) -> None:
        """Take a file of a run or of an artifact."""
        files = self.runs[owner].files if kind == "run" else self.artifacts[owner].files
        files[name] = content

    def run_of(self, kind: str, owner: str) -> str:
        """The id of the run that an upload belongs to."""
        return owner if kind == "run" else str(self.artifacts[owner].described.get("runName"))

    def _run_files(self, asked: dict[str, Any]) -> dict[str, Any]:
        urls = {name: f"{self.url}/upload/run/{asked['run']}/{name}" for name in asked["files"]}
        files = [{"name": name, "uploadUrl": url} for name, url in urls.items()]
        return {"runID": "r1", "uploadHeaders": [], "files": files}

    def _artifact(self, described: dict[str, Any]) -> dict[str, Any]:
        made = str(len(self.artifacts))
        self.artifacts[made] = StoredArtifact(described)
        return {"id": made, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}

    def _manifest(self, made: str) -> dict[str, Any]:
        url = f"{self.url}/upload/artifact/{made}/wandb_manifest.json"
        return {"id": f"manifest-{made}", "file": {"id": "f1", "uploadUrl": url, "uploadHeaders": []}}

    def _files(self, asked: dict[str, Any]) -> dict[str, Any]:
        nodes = []
        for made, name in ((one["artifactID"], one["name"]) for one in asked["artifactFiles"]):
            url = f"{self.url}/upload/artifact/{made}/{name}"
            node = {"storagePath": name, "uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}
            nodes.append({"node": {**node, "artifact": {"id": made}}})
        return {"edges": nodes}

    def _commit(self, made: str) -> dict[str, Any]:
        self.artifacts[made].committed = True
        return {"id": made, "digest": ""}

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables["name"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StoredRun())
        run.attributes.update({key: value for key, value in variables.items() if value is not None})
        project = {"id": "p1", "name": variables["project"], "entity": _ENTITY}
        return {"bucket": {"id": "r1", "name": name, "project": project}, "inserted": inserted}

    def _resume(self, name: str) -> dict[str, Any]:
        return {"id": "p1", "entity": _ENTITY, "bucket": self._stored(name)}

    def _stored(self, name: str) -> dict[str, Any] | None:
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
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:

        def stop() -> None:
            server.shutdown()
            server.server_close()

        kept = WandbServer(f"http://127.0.0.1:{server.server_port}", stop)
        server.kept = kept  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield kept
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    @property
    def kept(self) -> WandbServer:
        return self.server.kept  # type: ignore[attr-defined,no-any-return]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = self.path.split("/")
        if parts[-1] == "graphql":
            named = _OPERATION.search(body["query"])
            operation, variables = named[1] if named else "", body.get("variables") or {}
            asked = variables.get("input", variables)
            of = asked.get("run") or asked.get("runName") or asked.get("name") or ""
            self._reply(operation, of, lambda: {"data": self.kept.answer(operation, variables)})
        else:
            self._reply("stream", parts[-2], lambda: self.kept.stream(parts[-2], body) or {})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, _, kind, owner, name = self.path.split("/", 4)
        run = self.kept.run_of(kind, owner)
        self._reply("upload", run, lambda: self.kept.upload(kind, owner, name, content) or {})

    def _reply(self, what: str, run: str, answer: Callable[[], dict[str, Any]]) -> None:
        time.sleep(self.kept.delay)
        status = self.kept.trouble(what, run)
        self.kept.asked.append((what, run, status))
        content = json.dumps(answer() if status == 200 else {"errors": [{"message": "no"}], "error": "no"})
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None: ...


@contextmanager
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
