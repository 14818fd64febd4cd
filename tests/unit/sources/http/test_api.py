"""The source `http` against a real server: every record of a day, once, by every kind of paging."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError, DataError, TransientError
from lakeloop.settings import Settings
from lakeloop.sources.http import api as api_module
from lakeloop.spec.days import yesterday
from tests.support.complaints_api import (
    Api,
    made_rows,
    refusing,
    running_api,
    send,
)
from tests.support.complaints_days import AS_PAGES, DAY, IDS, days, found, ids


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
