"""What a connection may do before, between and after its requests: uvicorn's protocol with bounds around it.

uvicorn itself bounds idle connections (`timeout_keep_alive`). It waits without end for the rest of a head,
however large, for the first byte, for the rest of a body that was refused and for a client that does not read
its answer; and its bound on connections (`limit_concurrency`) counts when a head is complete. Here each of
these has a time, a head has its bytes, and the number of connections holds from the first: when they are too
many, the one that has waited longest for a head makes room.

Built on uvicorn's protocol of httptools, the parser of Node in C, and not of h11: that takes as long for a
request as all that is between it and the model.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import ProblemError, head_too_large, unavailable
from lakeloop.serving.metrics import ServerMetrics

LINGER_SECONDS = 5.0
"""So long may a client that was answered before its body was whole go on sending, so that it comes to read
its answer; and so long may what was sent last take to go out of a connection that is closed."""
LINGER_BYTES = 64 << 20


class Crowd:
    """The connections of a server process, and those that wait for a head, the longest first."""

    def __init__(self, limits: Limits, metrics: ServerMetrics) -> None:
        self.limits = limits
        self.count = metrics.count_cut
        self._all: set[BoundedProtocol] = set()
        self._waiting: dict[BoundedProtocol, None] = {}
        self._gauge = metrics.connections

    def enter(self, connection: BoundedProtocol) -> bool:
        """Take in one more; False when it has no place, because all others are being answered."""
        if len(self._all) >= self.limits.connections:
            if not self._waiting:
                self.count("refused")
                return False
            next(iter(self._waiting)).cut("crowded")
        self._all.add(connection)
        self._gauge.set(len(self._all))
        return True

    def waits(self, connection: BoundedProtocol) -> None:
        """The connection has nothing to be answered."""
        if connection in self._all:
            self._waiting.setdefault(connection)

    def works(self, connection: BoundedProtocol) -> None:
        """A request of the connection is being answered."""
        self._waiting.pop(connection, None)

    def leave(self, connection: BoundedProtocol) -> None:
        """The connection is closed, or about to be."""
        self._all.discard(connection)
        self._gauge.set(len(self._all))
        self._waiting.pop(connection, None)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, crowd: Crowd, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._crowd = crowd
        self._limits = crowd.limits
        self._timer: asyncio.TimerHandle | None = None
        self._why = ""
        """What the timer is for; empty: it is not set."""
        self._lingered = 0
        """Bytes that came behind the answer to their request."""
        self._running: RequestResponseCycle | None = None
        """The request that is answered, or was last; `cycle` is the one that was read last."""
        self._part = ""
        """What is arriving: the `head` or the `body` of a request; empty: neither."""
        self._head_bytes = 0
        """Of the head that is arriving."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._crowd.enter(self):
            self._settle()
        else:
            busy = f"{self._limits.connections} connections are open"
            self._say(unavailable("overloaded", f"{busy}; try again soon"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._set("")
        self._crowd.leave(self)
        if self._running is not None:
            self._give_up(self._running)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.cut("endless")
                return
        if self._part != "body":
            self._head_bytes += len(data)
        super().data_received(data)
        if self._part == "head" and self._head_bytes > self._limits.head_bytes:
            self._say(head_too_large(f"at most {self._limits.head_bytes} bytes"))
            return
        self._settle()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._part = "head"

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._part, self._head_bytes = "body", 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._part = ""

    def on_response_complete(self) -> None:
        self._lingered = 0
        super().on_response_complete()
        self._settle()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._settle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set("unread", self._limits.send_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    def shutdown(self) -> None:
        super().shutdown()
        self._settle()

    def send_400_response(self, msg: str) -> None:
        """Answer to what is no HTTP; called by uvicorn."""
        self._say(ProblemError(400, "bad_request", msg))

    def cut(self, why: str) -> None:
        """End the connection now, whatever it is at."""
        self._crowd.count(why)
        self._crowd.leave(self)
        self._set("")
        self.transport.abort()

    @property
    def _works(self) -> bool:
        return self._running is not None and not self._running.response_complete

    @property
    def _lingers(self) -> bool:
        """The answer is sent, and the body of its request is not whole."""
        return not self._works and self._part == "body"

    def _settle(self) -> None:
        """Set the one timer that fits what the connection is at, unless it runs already."""
        if self.flow.write_paused and not self.transport.is_closing():
            return  # `pause_writing` has set it
        if self.transport.is_closing():
            self._set("unread", LINGER_SECONDS)
        elif self._works:
            self._set("")
        elif self._lingers:
            self._set("endless", LINGER_SECONDS)
        elif self.timeout_keep_alive_task is None:
            self._set("slow_head", self._limits.head_seconds)
        else:  # uvicorn's own timer runs, until the first byte of the next head
            self._set("")
        (self._crowd.works if self._works else self._crowd.waits)(self)

    def _set(self, why: str, seconds: float = 0.0) -> None:
        if why == self._why:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._why = why
        self._timer = self.loop.call_later(seconds, self._late) if why else None

    def _late(self) -> None:
        why, self._why = self._why, ""
        if why == "slow_head" and self._part == "head":
            self._crowd.count(why)
            self._say(ProblemError(408, "head_timeout", f"no head within {self._limits.head_seconds:g} s"))
        else:
            self.cut(why)

    def _say(self, problem: ProblemError) -> None:
        """Answer a connection on which no answer has begun, and close it."""
        self._crowd.leave(self)
        if self._running is not None and self._works:
            if self._running.response_started or self.pipeline:
                self.transport.abort()
                return
            self._give_up(self._running)
        said = problem.response()
        headers = [*said.raw_headers, (b"connection", b"close")]
        lines = [STATUS_LINE[problem.status], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        self.transport.write(b"".join([*lines, said.body]))
        self.transport.close()
        self._set("unread", LINGER_SECONDS)

    @staticmethod
    def _give_up(cycle: RequestResponseCycle) -> None:
        """Nobody gets an answer to this request any more, because it is not whole or its client is gone."""
        cycle.disconnected = not cycle.response_complete
        cycle.message_event.set()


def bounded(limits: Limits, metrics: ServerMetrics) -> Any:
    """The protocol of a server's connections, as uvicorn's setting `http` takes it."""
    return partial(BoundedProtocol, Crowd(limits, metrics))
