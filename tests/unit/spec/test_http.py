"""What the section of a source `http` may say: an address, a day in the question, and no secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.http import HttpSource
from lakeloop.spec.identity import decisive
from tests.support.complaints_api import Api, source_of


def source(**keys: Any) -> HttpSource:
    return HttpSource.model_validate(source_of(Api([], "https://api.example"), **keys))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"url": "ftp://api.example/"}, "url: not an address"),
        ({"url": "https:///path"}, "url: not an address"),
        ({"url": "https://api.example:99999/"}, "url: not an address"),
        ({"url": "https://{partition}.example/"}, "url: not an address"),
        ({"url": "https://api.example/?day={partition}"}, "the query is params"),
        ({"url": "https://me:pass@api.example/"}, "url: a login in it"),
        ({"url": "https://api.example/{password}", "connection": "c"}, "not a word in braces"),
        ({"params": {"sort": "asc"}}, "no day is asked for"),
        ({"params": {"day": "{partitio}"}}, "not a word in braces"),
        ({"params": {"day": "{partition}", "k": "{secret.}"}}, "not a word in braces"),
        ({"params": {"day": "{partition}", "api_key": "abc"}}, "a secret in the loop file"),
        ({"headers": {"Authorization": "Bearer abc"}}, "a secret in the loop file"),
        ({"headers": {"X-Api-Key": "abc"}}, "a secret in the loop file"),
        ({"headers": {"X-Key": "{password}"}}, "no connection"),
        ({"headers": {"X-Key": "{extra.key}"}}, "no connection"),
        ({"headers": {"X Key": "1"}}, "not a header"),
        ({"headers": {"X-Key": "1\r\nHost: other"}}, "not a header"),
        ({"connection": "no/name"}, "connection"),
        ({"records": "hits..hits"}, "records"),
        ({"paging": {"kind": "cursor", "param": "after"}}, "paging.cursor.cursor"),
    ],
)
def test_what_cannot_be_asked_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source(**keys)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", ["Bearer hunter2secret", "hunter2secret"])
def test_a_secret_that_was_written_down_is_not_repeated(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        source(headers={"Authorization": value})
    (error,) = caught.value.errors()
    assert "hunter2" not in error["msg"]


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "https://api.example/{partition}/complaints", "params": {}},
        {"headers": {"Authorization": "Bearer {secret.TOKEN}"}},
        {"headers": {"Authorization": "Token {password}"}, "connection": "complaints"},
        {"params": {"q": '{"day": "{first_moment}"}'}},
        {"url": "http://127.0.0.1:8000/api"},
    ],
)
def test_what_can_be_asked_is_taken(keys: dict[str, Any]) -> None:
    assert source(**keys).kind == "http"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://api.example/", False),
        ("http://127.0.0.1:8000/", False),
        ("http://[::1]/", False),
        ("http://localhost/", False),
        ("http://api.example/", True),
        ("http://127.0.0.1.example/", True),
    ],
)
def test_only_http_to_another_machine_is_open_to_the_network(url: str, plain: bool) -> None:
    assert source(url=url).is_plain is plain


def test_how_an_api_is_asked_decides_nothing_but_what_it_is_asked_does() -> None:
    pace = {
        "connection": "other",
        "retries": 1,
        "timeout_seconds": 5,
        "requests_per_second": 1,
        "late_days": 0,
    }
    assert decisive(source(**pace), "raw") == decisive(source(requests_per_second=9), "raw")
    assert decisive(source(total=None), "raw") != decisive(source(), "raw")
