"""Secrets reach the host that they are for, and no file, log or error."""

from __future__ import annotations

import json
import logging

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.http import client
from tests.support.complaints_api import (
    Api,
    refusing,
    send,
)
from tests.support.complaints_days import AS_PAGES, DAY, IDS, days, found, ids

KEY = "s3cret/+ key"


@pytest.mark.parametrize("with_connection", [True, False])
def test_a_secret_is_sent_and_never_seen(
    api: Api,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    with_connection: bool,
) -> None:
    name = "password" if with_connection else "secret.KEY"
    monkeypatch.setenv("LAKELOOP_SECRET_KEY", KEY)
    monkeypatch.setenv("AIRFLOW_CONN_COMPLAINTS", json.dumps({"host": "127.0.0.1", "password": KEY}))
    params = {"date_received_min": "{partition}", "date_received_max": "{next_day}", "api_key": f"{{{name}}}"}
    keys = {
        "params": params,
        "headers": {"Authorization": f"Bearer {{{name}}}"},
        "connection": "complaints" if with_connection else None,
    }
    source = days(api, settings, **keys)
    caplog.set_level(logging.INFO)
    api.troubles.append(lambda handler: send(handler, handler.path.encode(), 503))
    assert ids(found(source)) == IDS
    assert {headers["authorization"] for headers in api.headers} == {f"Bearer {KEY}"}
    assert all("api_key=s3cret%2F%2B" in request for request in api.requests)
    echo = f"you sent {KEY} to {api.requests[0]}".encode()
    api.troubles.append(refusing(403, echo))
    with pytest.raises(ConfigurationError) as caught:
        source.find(DAY)
    assert "api_key=[hidden]" in str(caught.value)
    written = [file.read_bytes() for file in settings.home.rglob("*") if file.is_file()]
    assert b"s3cret" not in b"".join(written)
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__!r} {caplog.text}"
    assert "asked again" in caplog.text
    assert client.logging.getLogger("httpx").filters == []


def test_a_key_in_the_query_goes_with_next_links_that_lack_it(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_SECRET_KEY", KEY)
    rest = {"data": [{"complaint_id": "2"}], "next": None}
    api.troubles += [
        refusing(200, {"data": [{"complaint_id": "1"}], "next": "/pages?page=2"}),
        refusing(200, rest),
    ]
    params = {"day": "{partition}", "api_key": "{secret.KEY}"}
    source = days(api, settings, **AS_PAGES, params=params, paging={"kind": "link", "link": "next"})
    assert ids(found(source)) == ["1", "2"]
    assert api.requests[1].startswith("/pages?page=2&api_key=s3cret")


def test_a_connection_is_for_its_host_only(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = days(api, settings, connection="complaints")
    with pytest.raises(ConfigurationError, match="LAKELOOP_CONN_COMPLAINTS"):
        source.find(DAY)
    for text in (f"http://me:{KEY[:6]}@elsewhere.example/", "{broken s3cret"):
        monkeypatch.setenv("AIRFLOW_CONN_COMPLAINTS", text)
        with pytest.raises(ConfigurationError) as caught:
            source.find(DAY)
        assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("AIRFLOW_CONN_COMPLAINTS", "http://me:pass%20word@127.0.0.1/")
    assert ids(found(source)) == IDS
    assert api.headers[0]["authorization"] == "Basic bWU6cGFzcyB3b3Jk"
