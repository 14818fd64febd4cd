"""Requests to a real server that makes trouble: asked again, given up, or refused with what came."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError
from lakeloop.settings import Settings
from tests.support.complaints_api import (
    Api,
    dripping,
    refusing,
    send,
    truncated,
)
from tests.support.complaints_days import DAY, IDS, days, found, ids


@pytest.mark.parametrize(
    "trouble",
    [refusing(429, Retry_After="0"), refusing(429), refusing(500), refusing(503), truncated],
    ids=["429 with a time", "429", "500", "503", "truncated"],
)
def test_what_may_pass_is_asked_again(api: Api, settings: Settings, trouble: Any) -> None:
    api.troubles += [trouble, trouble]
    assert ids(found(days(api, settings))) == IDS
    assert len(api.requests) == 5


def test_the_api_says_how_long_to_wait(api: Api, settings: Settings) -> None:
    api.troubles.append(refusing(429, Retry_After="1"))
    found(days(api, settings))
    assert api.times[1] - api.times[0] >= 1


def test_an_api_that_stays_busy_is_a_transient_error_and_leaves_nothing(api: Api, settings: Settings) -> None:
    api.troubles += [refusing(503, b"down for repairs")] * 3
    with pytest.raises(ServiceError, match="down for repairs"):
        days(api, settings).find(DAY)
    assert list((settings.home / "fetched/small").iterdir()) == []


def test_an_answer_that_never_ends_is_given_up(api: Api, settings: Settings) -> None:
    api.troubles.append(dripping)
    began = time.monotonic()
    with pytest.raises(ServiceError, match="took more than"):
        days(api, settings, timeout_seconds=0.3, retries=0).find(DAY)
    assert time.monotonic() - began < 5


def test_nobody_there_is_a_transient_error(api: Api, settings: Settings) -> None:
    source = days(api, settings, url="http://127.0.0.1:9/")
    with pytest.raises(ServiceError, match="ConnectError"):
        source.find(DAY)


LOGIN = b"<!doctype html><title>Please sign in\x1b[31m</title>" + b"x" * 5000


@pytest.mark.parametrize(
    ("trouble", "error", "words"),
    [
        (
            refusing(200, LOGIN, Content_Type="text/html"),
            DataError,
            'no JSON.*status 200, "text/html".*sign in',
        ),
        (refusing(401, LOGIN), ConfigurationError, "does not let us in.*status 401"),
        (refusing(404, b""), ConfigurationError, "refuses the request.*status 404.*nothing in it"),
        (refusing(400, {"error": "window too large"}), ConfigurationError, "window too large"),
        (
            refusing(302, b"", Location="https://elsewhere.example/?key=1"),
            ConfigurationError,
            "another host.*elsewhere",
        ),
        (refusing(302, b"", Location="/search"), ConfigurationError, "in circles"),
        (refusing(200, {"hits": []}), ConfigurationError, "a list at hits.hits"),
        (refusing(200, {"hits": {"hits": [{"source": 1}]}}), ConfigurationError, "_source"),
        (refusing(200, {"hits": {"hits": []}}), ConfigurationError, "hits.total.value"),
        (refusing(200, b"[" * 100_000), DataError, "no JSON"),
        (refusing(200, b"\xff\xfe\xfa"), DataError, "no JSON"),
        (refusing(200, b'{"hits": "' + b"x" * 200_000 + b'"}'), DataError, "too large"),
    ],
)
def test_an_answer_that_is_no_answer_says_what_came(
    api: Api, settings: Settings, trouble: Any, error: type[LakeloopError], words: str
) -> None:
    api.troubles += [trouble] * 10
    with pytest.raises(error, match=f"(?s){words}") as caught:
        days(api, settings, max_answer_mb=0.1).find(DAY)
    assert "date_received_min=2025-01-02" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 900
    assert list((settings.home / "fetched/small").iterdir()) == []


def test_a_redirect_on_the_same_host_is_followed(api: Api, settings: Settings) -> None:
    api.troubles.append(
        lambda handler: send(
            handler,
            b"",
            307,
            Location=handler.path.replace("/search", "/search?moved=1&", 1).replace("&?", "&"),
        )
    )
    assert ids(found(days(api, settings))) == IDS


def test_requests_keep_their_distance(api: Api, settings: Settings) -> None:
    began = time.monotonic()
    found(days(api, settings, requests_per_second=10))
    assert len(api.times) >= 3
    assert time.monotonic() - began >= 0.1 * (len(api.times) - 1)


def test_http_to_another_machine_needs_the_installation_to_allow_it(api: Api, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="LAKELOOP_PLAIN_HTTP_HOSTS"):
        days(api, settings, url="http://data.example/api")
    allowed = settings.model_copy(update={"plain_http_hosts": ("data.example",)})
    assert days(api, allowed, url="http://data.example/api").place == "http://data.example/api"
