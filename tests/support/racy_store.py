"""A server that speaks as much S3 as a lake asks for, and does not keep put-if-absent.

`racy` looks whether a name is taken and writes then, without a lock: as several public servers do. `deaf`
passes over `If-None-Match`. `honest` keeps it, and `closed` knows no key.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

Manner = Literal["racy", "deaf", "honest", "closed"]
_LOOKED_SECONDS = 0.002
"""Between the look and the write: a disk's or a cluster's."""


@dataclass
class Objects:
    manner: Manner
    content: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, path: str, content: bytes, *, if_absent: bool) -> bool:
        """Whether it was written."""
        if not if_absent or self.manner == "deaf":
            self.content[path] = content
            return True
        with self.lock if self.manner == "honest" else contextlib.nullcontext():
            if path in self.content:
                return False
            time.sleep(_LOOKED_SECONDS)
            self.content[path] = content
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: Objects

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.objects.put(self._path, content, if_absent=self.headers.get("If-None-Match") == "*"):
            self._answer(200, tag=content)
        else:
            self._answer(412, "PreconditionFailed")

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        if "list-type" in asked:
            self._list(asked.get("prefix", [""])[0])
        elif (content := self.objects.content.get(self._path)) is None:
            self._answer(404, "NoSuchKey")
        elif (ranged := self.headers.get("Range")) is None:
            self._answer(200, content, tag=content)
        else:
            first, _, last = ranged.removeprefix("bytes=").partition("-")
            some = content[int(first) : int(last) + 1 if last else None]
            self._answer(206, some, tag=content, part=f"bytes {first}-{last}/{len(content)}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        """Of deletions of several objects."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        bucket = self._path.split("/")[1]
        keys = [part.partition("</Key>")[0] for part in asked.split("<Key>")[1:]]
        for key in keys:
            self.objects.content.pop(f"/{bucket}/{key}", None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>")

    def do_DELETE(self) -> None:
        self.objects.content.pop(self._path, None)
        self._answer(204)

    @property
    def _path(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _list(self, prefix: str) -> None:
        bucket = self._path.rstrip("/")
        found = [name.removeprefix(f"{bucket}/") for name in sorted(self.objects.content)]
        listed = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>2026-11-29T10:00:00.000Z</LastModified>"
            f"<Size>{len(self.objects.content[f'{bucket}/{name}'])}</Size></Contents>"
            for name in found
            if name.startswith(prefix)
        )
        self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")

    def _answer(self, status: int, body: str | bytes = b"", tag: bytes | None = None, part: str = "") -> None:
        if self.objects.manner == "closed":
            status, body = 403, "InvalidAccessKeyId"
        content = body if isinstance(body, bytes) else body.encode()
        if status >= 400:
            content = b"<Error><Code>" + content + b"</Code></Error>"
        self.send_response(status)
        if tag is not None:
            self.send_header("ETag", f'"{hashlib.md5(tag, usedforsecurity=False).hexdigest()}"')
            self.send_header("Last-Modified", "Sun, 29 Nov 2026 10:00:00 GMT")
        if part:
            self.send_header("Content-Range", part)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


@contextlib.contextmanager
def racy_store(manner: Manner) -> Iterator[str]:
    """The server's address, until the block ends; any bucket is there."""
    handler = type("Handler", (_Handler,), {"objects": Objects(manner)})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
