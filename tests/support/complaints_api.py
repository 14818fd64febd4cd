"""A real HTTP server on loopback in the shape of the public complaints API, with the troubles of a real one.

Rows are those of `LAKELOOP_TEST_DATA` (cfpb_dated_narratives) where they are there, or made.
"""

from __future__ import annotations

import csv
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

REPLAYED = (
    Path(os.environ.get("LAKELOOP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
    / "cfpb_dated_narratives/filtered_complaints.csv"
)
_FIELDS = {
    "complaint_id": "Complaint ID",
    "product": "Product",
    "issue": "Issue",
    "company": "Company",
    "complaint_what_happened": "Consumer complaint narrative",
}
Row = dict[str, Any]
Trouble = Callable[[BaseHTTPRequestHandler], None]
"""Answers a request in place of the API."""


def replayed_rows() -> list[Row]:
    """The complaints of the file, as the API has them."""
    with REPLAYED.open(newline="", encoding="utf-8") as file:
        return [
            {name: row[found] for name, found in _FIELDS.items()}
            | {"date_received": f"{row['Date received']}T12:00:00-05:00"}
            for row in csv.DictReader(file)
        ]


def made_rows(days: Sequence[str] = ("2025-01-01", "2025-01-02", "2025-01-03"), count: int = 7) -> list[Row]:
    """`count` complaints of each day."""
    return [
        {
            "complaint_id": f"{day}-{number}",
            "product": "Credit card",
            "issue": ("Fees", "Fraud")[number % 2],
            "company": "A BANK",
            "complaint_what_happened": f"They took {number} \u2028 dollars — “again” 🙁",
            "date_received": f"{day}T12:00:00-05:00",
        }
        for day in days
        for number in range(count)
    ]


@dataclass
class Api:
    """The server, as tests see it."""

    rows: list[Row]
    url: str = ""
    troubles: list[Trouble] = field(default_factory=list)
    """Of the next requests, the first one first."""
    requests: list[str] = field(default_factory=list)
    """Paths with queries, as they came."""
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most: int = 1000
    """Records in an answer, whatever was asked for."""
    last_counts: bool = False
    """Whether `date_received_max` is a day that is wanted too."""

    def of(self, query: dict[str, str]) -> list[Row]:
        """The rows of the days that a query asks for, in the order of the API."""
        low, high = query.get("date_received_min", ""), query.get("date_received_max", "9")
        days = ((row, row["date_received"][:10]) for row in self.rows)
        found = [row for row, day in days if low <= day < high or (self.last_counts and low <= day == high)]
        return sorted(found, key=lambda row: (row["date_received"], row["complaint_id"]))

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request as the API does, by its path."""
        parts = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        rows, size = self.of(query), min(int(query.get("size", self.most)), self.most)
        if parts.path == "/search":
            first = int(query.get("frm", 0))
            if "search_after" in query:
                first = 1 + [_sort(row) for row in rows].index(query["search_after"].split("|"))
            hits = [
                {"_index": "complaints", "_source": row, "sort": _sort(row)}
                for row in rows[first : first + size]
            ]
            send(handler, {"took": 1, "hits": {"total": {"value": len(rows)}, "hits": hits}})
            return
        page = int(query.get("page", 1))
        items = rows[(page - 1) * size : page * size]
        body: dict[str, Any] = {"data": items, "count": len(rows), "next": None}
        link = f"{parts.path}?{urlencode({**query, 'page': page + 1})}"
        more = {}
        if page * size < len(rows):
            body["next"], more = self.url + link, {"Link": f'<{link}>; rel="next"'}
        send(handler, items if parts.path == "/list" else body, **more)


def _sort(row: Row) -> list[str]:
    return [row["date_received"], row["complaint_id"]]


def send(handler: BaseHTTPRequestHandler, body: Any, status: int = 200, **headers: str) -> None:
    """An answer; `body` is JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in {"Content-Type": "application/json", **given}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def refusing(status: int, body: Any = b"", **headers: str) -> Trouble:
    """Trouble: an answer with this status."""
    return lambda handler: send(handler, body, status, **headers)


def truncated(handler: BaseHTTPRequestHandler) -> None:
    """Trouble: the connection ends in the middle of an answer."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"hits": {"hits": [{"_source": {"complaint_id": "')
    handler.close_connection = True


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Trouble: an answer that comes byte by byte, each soon enough, and never ends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    try:
        for _ in range(1000):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        handler.close_connection = True


@contextmanager
def running_api(rows: list[Row]) -> Iterator[Api]:
    """The API on a free port of loopback, until the block ends."""
    api = Api(rows)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            api.times.append(time.monotonic())
            api.requests.append(self.path)
            api.headers.append({name.lower(): value for name, value in self.headers.items()})
            (api.troubles.pop(0) if api.troubles else api.answer)(self)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def source_of(api: Api, **keys: Any) -> dict[str, Any]:
    """Section `source` of a loop of complaints; `keys` replace whole keys."""
    return {
        "kind": "http",
        "url": f"{api.url}/search",
        "start": "2025-01-01",
        "key": "complaint_id",
        "event_time": "date_received",
        "columns": {
            "complaint_id": "string",
            "date_received": "timestamp",
            "text": {"type": "string", "from": "complaint_what_happened"},
            "issue": "string",
        },
        "params": {
            "date_received_min": "{partition}",
            "date_received_max": "{next_day}",
            "sort": "created_date_asc",
        },
        "records": "hits.hits",
        "record": "_source",
        "total": "hits.total.value",
        "paging": {"kind": "offset", "param": "frm", "size_param": "size", "page_size": 3},
        "requests_per_second": 1000,
        **keys,
    }


def days_from(first: str, count: int) -> list[str]:
    """`count` days from `first` on."""
    return [(date.fromisoformat(first) + timedelta(days=n)).isoformat() for n in range(count)]
