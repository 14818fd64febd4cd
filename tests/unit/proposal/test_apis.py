"""`lakeloop new --from` the address of an API: a real server on loopback, in the shapes of real ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.preview import preview
from lakeloop.proposal.propose import look_at, propose
from lakeloop.settings import Settings
from lakeloop.spec.days import yesterday
from lakeloop.spec.http import HttpSource
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import read_loop
from tests.support.complaints_api import Api, made_rows, refusing, running_api

WINDOW = "date_received_min=2025-01-01&date_received_max=2025-01-02"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(made_rows(count=40)) as api:
        yield api


def loop_of(given: Given, settings: Settings) -> LoopSpec:
    return read_loop(propose("calls", given, {}).text(), settings.loop_file("calls"), settings)


def source_of(given: Given, settings: Settings) -> HttpSource:
    source = loop_of(given, settings).source
    assert isinstance(source, HttpSource)
    return source


def test_an_answer_becomes_a_loop_that_asks_for_every_day_whole(api: Api, settings: Settings) -> None:
    given = look_at(Pointer("calls", f"{api.url}/search?{WINDOW}&sort=asc&frm=0&size=25", settings))
    loop = loop_of(given, settings)
    source = source_of(given, settings)
    assert source.params == {
        "date_received_min": "{partition}",
        "date_received_max": "{next_day}",
        "sort": "asc",
    }
    assert (source.records, source.record, source.total) == ("hits.hits", "_source", "hits.total.value")
    assert source.paging.model_dump() == {
        "kind": "offset",
        "param": "frm",
        "size_param": "size",
        "page_size": 25,
    }
    assert source.start == date(2025, 1, 1)
    assert (source.key, source.event_time) == ("complaint_id", "date_received")
    look = preview(loop, settings)
    assert (look.read, look.accepted, look.days[0]) == (120, 120, "2025-01-01")


def test_days_of_few_records_are_asked_for_until_there_are_enough(settings: Settings) -> None:
    rows = [*made_rows(["2025-01-01"], 1), *made_rows(["2025-01-03"], 90), *made_rows(["2025-01-04"], 150)]
    later = [{**row, "issue": "Later"} for row in made_rows(["2025-01-05"], 1)]
    with running_api([*rows, *later]) as api:
        given = look_at(Pointer("calls", f"{api.url}/search?{WINDOW}", settings))
        assert len(api.requests) == 4, "none for the day after them"
    assert given.what.endswith("its answers for 2025-01-01 to 2025-01-04")
    assert len(given.sample.rows) == 241
    assert source_of(given, settings).start == date(2025, 1, 1)


@pytest.mark.parametrize(
    ("path", "paging"),
    [
        (f"/list?{WINDOW}&size=30", {"kind": "link", "size_param": "size", "page_size": 30}),
        (f"/data?{WINDOW}&size=30", {"kind": "link", "size_param": "size", "page_size": 30}),
        (f"/data?{WINDOW}&page=1", {"kind": "page", "param": "page"}),
    ],
)
def test_how_the_next_records_come_is_found(
    api: Api, settings: Settings, path: str, paging: dict[str, object]
) -> None:
    given = look_at(Pointer("calls", api.url + path, settings))
    source = source_of(given, settings)
    assert source.paging.model_dump().items() >= paging.items()
    assert source.records == (None if path.startswith("/list") else "data")
    assert (
        preview(loop_of(look_at(Pointer("calls", api.url + path, settings)), settings), settings).read == 120
    )


def test_a_key_in_the_address_goes_to_the_environment_alone(
    api: Api, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_SECRET_API_KEY", "")
    given = look_at(Pointer("calls", f"{api.url}/search?{WINDOW}&api_key=s3cr3t-word", settings))
    assert source_of(given, settings).params["api_key"] == "{secret.API_KEY}"
    assert "s3cr3t-word" not in propose("calls", given, {}).text() + repr(given.variables)
    assert os.environ["LAKELOOP_SECRET_API_KEY"] == "s3cr3t-word"
    assert "api_key=s3cr3t-word" in api.requests[0]


def test_words_for_the_day_stay_as_they_are(api: Api, settings: Settings) -> None:
    first = date.fromisoformat(yesterday("UTC")) - timedelta(days=30)
    api.rows = [{**row, "date_received": f"{first}T00:00:00Z"} for row in api.rows]
    text = f"{api.url}/search?date_received_min={{partition}}&date_received_max={{next_day}}"
    assert source_of(look_at(Pointer("calls", text, settings)), settings).params == {
        "date_received_min": "{partition}",
        "date_received_max": "{next_day}",
    }


def test_an_address_without_an_end_of_the_day_is_refused(api: Api, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="same records for two days") as raised:
        look_at(Pointer("calls", f"{api.url}/search?date_received_min=2025-01-01", settings))
    assert raised.value.found == "80 of 80 records of 2025-01-02 are those of the day before, too"
    assert "from=2025-01-01&to=2025-01-02" in raised.value.expected


def test_an_end_that_counts_as_well_is_the_day_itself(api: Api, settings: Settings) -> None:
    api.last_counts = True
    given = look_at(Pointer("calls", f"{api.url}/search?{WINDOW}", settings))
    assert source_of(given, settings).params == {
        "date_received_min": "{partition}",
        "date_received_max": "{partition}",
    }
    assert len(given.sample.rows) == 120, "each record once"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/search?size=3", ConfigurationError, "no day is asked for"),
        ("/search?date_received_min=2031-01-01", DataError, "no records in the answer"),
    ],
)
def test_what_cannot_be_a_source_is_named(
    api: Api, settings: Settings, path: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        look_at(Pointer("calls", api.url + path, settings))


def test_a_file_and_a_login_in_the_address_are_named(api: Api, settings: Settings) -> None:
    api.troubles.append(refusing(200, b"id,text\n1,x\n", Content_Type="text/csv"))
    with pytest.raises(DataError, match="the answer is no JSON") as caught:
        look_at(Pointer("calls", f"{api.url}/export.csv?date=2025-01-01", settings))
    assert "curl -o" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="a login in the address") as refused:
        look_at(Pointer("calls", "https://me:pass-word@api.example/x?date=2025-01-01", settings))
    assert "pass-word" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="open to the network"):
        look_at(Pointer("calls", "http://api.example/x?date=2025-01-01", settings))
