"""The page of a loop's quarantine: counted, narrowed down, a page at a time, and everything as text."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pyarrow as pa
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.lake.tables import QUARANTINE
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext

DAY = "2026-11-18"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def filled(settings: Settings) -> StageContext:
    """120 lines of a day in quarantine, 60 for each of two reasons."""
    context = StageContext.open("news", settings, Attempt("news.ingest:manual__1"))

    def row(line: int) -> dict[str, Any]:
        column = "published_at" if line % 2 else None
        return {
            "partition": DAY, "stage": "ingest", "reason": "wrong_type" if column else "broken_json",
            "detail": f"{SCRIPT} in line", "column": column, "source_file": "drop.jsonl", "source_line": line,
            "byte_offset": 0, "raw": f"line {line} {SCRIPT}", "row_key": None, "readmitted": False,
        }  # fmt: skip

    rows = pa.Table.from_pylist([row(line) for line in range(1, 121)], QUARANTINE)
    with context.stage("ingest", DAY) as stage:
        fence = stage.claim()
        context.lake.replace("quarantine", rows, where={"partition": DAY, "stage": "ingest"}, fence=fence)
        stage.done(reason="", outputs={"raw": "0" * 64}, counts=Counts(read=123, accepted=3, quarantined=120))
    return context


def lines_of(page: str) -> list[int]:
    return [int(line) for line in re.findall(r"<pre>line (\d+) ", page)]


def links_of(page: str) -> list[str]:
    return [unescape(link) for link in re.findall(r'href="(\?[^"]*)"', page)]


def test_rows_come_fifty_a_page(client: TestClient, filled: StageContext) -> None:
    seen: list[int] = []
    address = "?"
    for _ in range(3):
        page = client.get(f"/quarantine/news{address}").text
        assert len(lines_of(page)) <= 50
        seen += lines_of(page)
        later = [link for link in links_of(page) if link.endswith(f"offset={len(seen)}")]
        address = later[0] if later else ""
    assert seen == list(range(1, 121))
    assert address == ""
    assert "Rows 101 to 120 of 120" in page


def test_a_count_leads_to_its_rows(client: TestClient, filled: StageContext) -> None:
    page = client.get("/quarantine/news").text
    (link,) = {
        link for link in links_of(page) if "reason=wrong_type" in link and "column=published_at" in link
    }
    narrowed = client.get(f"/quarantine/news{link}").text
    assert "Rows 1 to 50 of 60" in narrowed
    assert all(line % 2 for line in lines_of(narrowed))
    (none,) = {link for link in links_of(page) if link == "?column="}
    assert lines_of(client.get(f"/quarantine/news{none}").text)[:2] == [2, 4]
    assert "Nothing of that kind" in client.get("/quarantine/news?reason=blank_line").text


def test_what_comes_from_data_or_the_address_is_shown_as_text(
    client: TestClient, filled: StageContext
) -> None:
    for query in ("", "?reason=%3Cscript%3Ealert(1)%3C/script%3E"):
        answer = client.get(f"/quarantine/news{query}")
        assert SCRIPT not in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_page_of_the_loop_leads_there(client: TestClient, filled: StageContext) -> None:
    page = client.get(f"/loops/news?day={DAY}").text
    assert 'href="/lakeloop/quarantine/news"' in page
    assert f'href="/lakeloop/quarantine/news?day={DAY}"' in page


@pytest.mark.parametrize("query", ["?offset=-1", "?offset=x", "?offset=99999999999"])
def test_an_address_that_means_nothing_is_refused(
    client: TestClient, filled: StageContext, query: str
) -> None:
    assert client.get(f"/quarantine/news{query}").status_code == 422


def test_only_who_is_logged_in_may_look(app: FastAPI, client: TestClient, filled: StageContext) -> None:
    assert TestClient(app).get("/quarantine/news").status_code == 401
    assert client.get("/quarantine/nothing").status_code == 404


def test_a_loop_without_tables_says_so(client: TestClient, settings: Settings) -> None:
    assert client.get("/quarantine/news").status_code == 409
    assert not settings.home.exists()
