"""Several requests that are answered together."""

from __future__ import annotations

import time

import pytest

from lakeloop.inference.pieces import done
from lakeloop.serving.exchange import ByChampion, Exchange
from lakeloop.serving.guard.problems import ProblemError
from lakeloop.tasks.base import Answer
from lakeloop.tasks.classification import Label
from lakeloop.tasks.reading import Instance
from tests.support.app import Server
from tests.support.waiting import until


def test_requests_that_are_answered_together_have_each_its_own_answer(server: Server) -> None:
    served = server.loops["news"]

    def asked(name: str, *rows: Instance) -> ByChampion:
        return ByChampion(Exchange(served, name, rows, time.monotonic(), 5), time.monotonic())

    requests = [asked("a", Instance("tech")), asked("c", Instance("sports"), Instance("tech"))]
    costs = [next(each.pieces()) for each in requests]  # they are read
    a, c = done(requests[0].together(requests))

    assert costs == [requests[0].length, 2 * requests[1].length]
    assert requests[0].key == requests[1].key is not None
    assert (a.request_id, [_label(each) for each in a.predictions]) == ("a", ["tech"])
    assert (c.request_id, [_label(each) for each in c.predictions]) == ("c", ["sports", "tech"])
    until(lambda: len(server.rows) >= 3)
    assert [row["request_id"] for row in server.rows] == ["a", "c", "c"]


def test_a_request_that_the_champion_does_not_read_is_refused_before_it_is_joined(server: Server) -> None:
    pair = Instance("tech", "a second text, which this model does not read")
    exchange = Exchange(server.loops["news"], "b", [pair], time.monotonic(), 5)
    request = ByChampion(exchange, time.monotonic())

    with pytest.raises(ProblemError) as refused:
        next(request.pieces())

    assert refused.value.status == 422
    assert request.key is None


def _label(answer: Answer) -> str | None:
    assert isinstance(answer, Label)
    return answer.label
