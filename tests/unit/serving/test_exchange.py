"""Several requests that are answered together."""

from __future__ import annotations

import time

from lakeloop.inference.pieces import done
from lakeloop.serving.exchange import Exchange
from lakeloop.serving.guard.problems import ProblemError
from lakeloop.serving.messages import PredictResponse
from lakeloop.tasks.reading import Instance
from tests.support.app import Server


def test_requests_that_are_answered_together_have_each_its_own_answer_and_error(server: Server) -> None:
    served = server.loops["news"]

    def asked(name: str, *rows: Instance) -> Exchange:
        return Exchange(served, name, rows, time.monotonic(), 5)

    pair = Instance("tech", "a second text, which this model does not read")
    exchanges = [
        asked("a", Instance("tech")),
        asked("b", pair),
        asked("c", Instance("sports"), Instance("tech")),
    ]
    a, b, c = done(exchanges[0].together(exchanges))

    assert isinstance(b, ProblemError)
    assert b.status == 422
    assert isinstance(a, PredictResponse)
    assert isinstance(c, PredictResponse)
    assert (a.request_id, [each.label for each in a.predictions]) == ("a", ["tech"])
    assert (c.request_id, [each.label for each in c.predictions]) == ("c", ["sports", "tech"])
    deadline = time.monotonic() + 5
    while len(server.rows) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [row["request_id"] for row in server.rows] == ["a", "c", "c"]
