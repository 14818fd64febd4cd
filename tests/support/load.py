"""Clients that ask a server without a pause, and what the lake has of it in the end."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import httpx
import psutil

from lakeloop.stages.frame.session import StageContext


@dataclass
class Load:
    """Clients that ask one after the other until they are told to stop."""

    url: str
    clients: int = 4
    retries: int = 0
    """How often a client sends a request again that a broken connection or a 503 ended."""
    texts: tuple[str, ...] = ("tech", "sports")
    """Of each request: names of desks."""
    ordered: bool = True
    """No client is answered by an older version after a newer one."""
    answered: dict[str, str] = field(default_factory=dict)
    """Request id -> model version."""
    sent: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)
    """Model version -> when it answered last, by the monotonic clock."""
    slowest: float = 0.0
    """Seconds."""
    again: int = 0
    """Requests that were sent again."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, client: int) -> None:
        versions = []
        with httpx.Client(base_url=self.url, timeout=10) as http:
            number = 0
            while not self._stop.is_set():
                number += 1
                name = f"c{client}-{number}"
                self.sent.add(name)
                started = time.monotonic()
                try:
                    answer = self._post(http, name)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    return
                self.slowest = max(self.slowest, time.monotonic() - started)
                labels = [prediction["label"] for prediction in answer.json().get("predictions", [])]
                if answer.status_code != 200 or labels != list(self.texts):
                    self.failures.append(answer.text)
                    continue
                self.answered[name] = answer.json()["model_version"]
                self.last[self.answered[name]] = time.monotonic()
                versions.append(int(answer.json()["model_version"][1:]))
        if self.ordered and not self.retries and versions != sorted(versions):
            self.failures.append(f"client {client}: an older version answered after a newer one")

    def _post(self, http: httpx.Client, name: str) -> httpx.Response:
        body = {"texts": self.texts, "request_id": name}
        client = {"X-Client-ID": name}
        for _ in range(self.retries):
            try:
                answer = http.post("/v1/predict", json=body, headers=client)
            except httpx.TransportError:
                self.again += 1
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            self.again += 1
        return http.post("/v1/predict", json=body, headers=client)


def logged(context: StageContext) -> Counter[str]:
    """Rows of the table `predictions` by request id; two texts a request are two rows."""
    return Counter(context.lake.read("predictions", columns=["request_id"])["request_id"].to_pylist())


def workers(parent: int) -> list[psutil.Process]:
    """The processes that answer for the server of several whose parent is that one."""
    forked = [child.children() for child in psutil.Process(parent).children()]
    return [process for processes in forked for process in processes]


def kill_workers(parent: int, seconds: float, every: float = 1.0) -> int:
    """Kill one of them after each time `every`, for so long; returns how many were."""
    deadline, killed = time.monotonic() + seconds, 0
    choose = random.Random(1)
    while time.monotonic() < deadline:
        time.sleep(every)
        if living := workers(parent):
            choose.choice(living).kill()
            killed += 1
    return killed
