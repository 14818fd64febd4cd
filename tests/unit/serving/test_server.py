"""A server may open the files that its connections are, or says that it may not."""

from __future__ import annotations

import resource

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.server import _require_files


def test_the_number_of_files_is_raised_to_what_the_connections_need(monkeypatch: pytest.MonkeyPatch) -> None:
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    _require_files(Limits(connections=512))

    assert raised == [(1024, 4096)]


def test_more_connections_than_files_are_an_error_that_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)

    with pytest.raises(ConfigurationError, match=r"LAKELOOP_SERVE_CONNECTIONS[\s\S]*at most 512 connections"):
        _require_files(Limits(connections=2000))
