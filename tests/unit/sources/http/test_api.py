"""The source `http` against a real server: every record of a day, once, or an error that says why not."""

from __future__ import annotations

import json
import logging
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError, TransientError
from lakeloop.settings import Settings
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.http import api as api_module
from lakeloop.sources.http import client
from lakeloop.sources.http.api import ApiDays
from lakeloop.spec.days import yesterday
from tests.support.complaints_api import (
    Api,
    dripping,
    made_rows,
    refusing,
    running_api,
    send,
    source_of,
    truncated,
)
from tests.support.small_loop import small_loop

DAY = "2025-01-02"
IDS = [f"{DAY}-{number}" for number in range(7)]
TASK = {"text": "text", "label": "issue", "labels": ("Fees", "Fraud")}
AS_PAGES = {"records": "data", "record": None, "total": None}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def days(api: Api, settings: Settings, zone: str = "UTC", **keys: Any) -> ApiDays:
    keys = {"retries": 2, **keys}
    return ApiDays(
        small_loop(source=source_of(api, **keys), task=TASK, schedule={"timezone": zone}), settings
    )


def found(source: ApiDays, day: str = DAY) -> FileDelivery:
    delivery = source.find(day)
    assert delivery is not None
    return delivery


def ids(delivery: FileDelivery) -> list[str]:
    rows = [row for block in delivery.blocks() for row in block.rows.to_pylist()]
    assert [row["source_line"] for row in rows] == list(range(1, len(rows) + 1))
    delivery.require_unchanged()
    return [row["complaint_id"] for row in rows]


@pytest.mark.parametrize(
    ("keys", "requests"),
    [
        ({}, 3),
        ({"total": None}, 4),
        ({"paging": {"kind": "none"}}, 1),
        (
            {
                "paging": {
                    "kind": "cursor",
                    "param": "search_after",
                    "cursor": "hits.hits.-1.sort",
                    "join": "|",
                    "size_param": "size",
                    "page_size": 3,
                }
            },
            3,
        ),
        ({"url": "/pages", **AS_PAGES, "paging": {"kind": "page", "size_param": "size", "page_size": 3}}, 4),
        (
            {
                "url": "/pages",
                **AS_PAGES,
                "total": "count",
                "paging": {"kind": "link", "link": "next", "size_param": "size", "page_size": 3},
            },
            3,
        ),
        (
            {
                "url": "/list",
                **AS_PAGES,
                "records": None,
                "paging": {"kind": "link", "size_param": "size", "page_size": 3},
            },
            3,
        ),
    ],
    ids=["offset", "offset without total", "one page", "cursor", "page", "link", "link header"],
)
def test_every_kind_of_paging_finds_all_records_of_the_day_in_order(
    api: Api, settings: Settings, keys: dict[str, Any], requests: int
) -> None:
    keys = {**keys, "url": api.url + keys.get("url", "/search")}
    assert ids(found(days(api, settings, **keys))) == IDS
    assert len(api.requests) == requests


def test_a_server_that_gives_fewer_than_was_asked_for_loses_nothing(api: Api, settings: Settings) -> None:
    api.most = 2
    assert ids(found(days(api, settings, total=None))) == IDS


def test_a_day_that_did_not_change_has_the_same_identity_whatever_the_pages(
    api: Api, settings: Settings
) -> None:
    source = days(api, settings)
    first = found(source).identity
    api.rows = [dict(reversed(row.items())) for row in api.rows]
    assert found(days(api, settings, paging={"kind": "none"})).identity == first
    api.rows[8] = {**api.rows[8], "company": "ANOTHER"}
    assert found(source).identity != first


def test_a_record_is_read_as_a_line_of_json_would_be(api: Api, settings: Settings) -> None:
    rows = made_rows([DAY], 1)
    good = json.dumps(rows[0])[1:-1]
    bodies = [
        f"{{{good}}}",
        f"{{{good}, {good}}}",
        f"{{{good.replace('Fees', 'half ud83d').replace('ud83d', chr(92) + 'ud83d')}}}",
    ]
    bodies += ["[1, 2]", "null", f"{{{good.replace(chr(34) + 'Fees' + chr(34), '5')}}}"]
    items = ",".join(f'{{"_source": {body}}}' for body in bodies) + ', {"no_source": 1}'
    api.troubles.append(
        lambda handler: send(handler, f'{{"hits": {{"total": {{"value": 7}}, "hits": [{items}]}}}}'.encode())
    )
    blocks = list(found(days(api, settings)).blocks())
    rejects = [reject for block in blocks for reject in block.rejects]
    assert sum(block.rows.num_rows for block in blocks) == 1
    assert [(reject.line, str(reject.reason)) for reject in rejects] == [
        (2, "duplicate_field"),
        (3, "bad_utf8"),
        (4, "not_an_object"),
        (5, "not_an_object"),
        (6, "wrong_type"),
        (7, "not_an_object"),
    ]
    assert rejects[5].raw == '[{"no_source":1}]'
    assert blocks[0].undeclared["product"] == 1


def test_the_day_begins_and_ends_in_the_zone_of_the_loop(api: Api, settings: Settings) -> None:
    params = {"from": "{first_moment}", "to": "{next_moment}", "s": "{first_second}", "e": "{next_second}"}
    source = days(
        api,
        settings,
        "America/New_York",
        url=f"{api.url}/{{partition}}",
        params=params,
        **{**AS_PAGES, "paging": {"kind": "none"}},
    )
    source.find("2025-03-09")  # 23 hours long
    assert api.requests == [
        "/2025-03-09?from=2025-03-09T05%3A00%3A00Z&to=2025-03-10T04%3A00%3A00Z&s=1741496400&e=1741579200"
    ]


def test_a_day_without_records_has_no_delivery_and_is_asked_for_again_until_it_is_old(
    api: Api, settings: Settings
) -> None:
    newest = yesterday("UTC")
    source = days(api, settings, start="2025-01-01", late_days=3)
    assert source.find("2025-01-04") is None
    assert source.find(newest) is None
    listed = source.partitions()
    assert listed[:4] == ["2025-01-01", "2025-01-02", "2025-01-03", "2025-01-05"]
    assert listed[-1] == newest
    assert "2025-01-04" in source.absence("2025-01-04")
    api.rows += made_rows(["2025-01-04"], 1)
    assert ids(found(source, "2025-01-04")) == ["2025-01-04-0"]
    assert "2025-01-04" in source.partitions()


def test_days_are_listed_without_a_request(api: Api, settings: Settings) -> None:
    assert days(api, settings, start=yesterday("UTC")).partitions() == [yesterday("UTC")]
    assert days(api, settings, start="2100-01-01").partitions() == []
    assert days(api, settings).glance(DAY) is None
    assert api.requests == []


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


def test_a_next_link_to_another_host_is_refused_without_asking_it(api: Api, settings: Settings) -> None:
    with running_api([]) as other:
        body = {"data": [{"complaint_id": "1"}], "next": f"{other.url}/pages"}
        api.troubles.append(refusing(200, body))
        source = days(api, settings, **AS_PAGES, paging={"kind": "link", "link": "next"})
        with pytest.raises(ConfigurationError, match="another host"):
            source.find(DAY)
        assert other.requests == []


def test_a_server_that_ignores_the_paging_is_found_out(api: Api, settings: Settings) -> None:
    paging = {"kind": "page", "param": "seite", "size_param": "size", "page_size": 3}
    with pytest.raises(ConfigurationError, match="the same records came twice"):
        days(api, settings, paging=paging, total=None).find(DAY)
    assert len(api.requests) == 2


def test_other_records_than_the_api_says_there_are_publish_nothing(api: Api, settings: Settings) -> None:
    body = {"hits": {"total": {"value": 9}, "hits": [{"_source": row} for row in made_rows([DAY], 2)]}}
    api.troubles += [refusing(200, body), refusing(200, {"hits": {"total": {"value": 9}, "hits": []}})]
    with pytest.raises(TransientError, match=r"(?s)9 records.*2 records"):
        days(api, settings).find(DAY)


def test_a_day_with_too_many_answers_is_refused(api: Api, settings: Settings) -> None:
    with pytest.raises(DataError, match="at most 2"):
        days(api, settings, max_requests=2).find(DAY)


def test_requests_keep_their_distance(api: Api, settings: Settings) -> None:
    found(days(api, settings, requests_per_second=10))
    assert api.times[2] - api.times[0] >= 0.19


def test_what_was_fetched_is_kept_by_its_identity(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = days(api, settings)
    identity = found(source).identity
    asked = len(api.requests)
    kept = source.kept(DAY, identity)
    assert kept is not None
    assert ids(kept) == IDS
    assert source.kept(DAY, "sha256:" + "0" * 64) is None
    assert len(api.requests) == asked
    monkeypatch.setattr(api_module, "_KEPT", 1)
    found(source, "2025-01-03")
    assert source.kept(DAY, identity) is None


def test_memory_is_that_of_an_answer(settings: Settings) -> None:
    rows = [{**row, "complaint_what_happened": "x" * 20_000} for row in made_rows([DAY], 2000)]
    with running_api(rows) as api:
        paging = {"kind": "page", "size_param": "size", "page_size": 20}
        source = days(api, settings, url=f"{api.url}/pages", **{**AS_PAGES, "total": "count"}, paging=paging)
        tracemalloc.start()
        try:
            delivery = found(source)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert delivery.path.stat().st_size > 40_000_000
    assert peak < 20_000_000


def test_http_to_another_machine_needs_the_installation_to_allow_it(api: Api, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="LAKELOOP_PLAIN_HTTP_HOSTS"):
        days(api, settings, url="http://data.example/api")
    allowed = settings.model_copy(update={"plain_http_hosts": ("data.example",)})
    assert days(api, allowed, url="http://data.example/api").place == "http://data.example/api"


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
