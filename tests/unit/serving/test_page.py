"""The page at `/` says what is served, shows nothing as HTML that is not, and runs nothing but its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import Server
from tests.support.serving import FolderSource


@pytest.fixture
def server(tmp_path: Path, source: FolderSource) -> Iterator[Server]:
    server = Server(tmp_path, source)
    with server.client:
        yield server


def test_it_says_what_answers_or_why_nothing_does(server: Server, source: FolderSource) -> None:
    before = server.client.get("/").text
    source.promote(1)
    server.await_version("v1")
    after = server.client.get("/").text

    assert "no model answers" in before
    assert "lakeloop run news" in before
    assert "v1 answers" in after
    assert 'const asks = {"news": {"features": [], "pair": false}}' in after


def test_a_reason_with_markup_in_it_is_text(server: Server) -> None:
    server.slot.postponed = "<script>alert(1)</script>"
    page = server.client.get("/")

    assert "<script>alert" not in page.text


def test_it_needs_nobody_else_and_lets_nothing_else_in(server: Server) -> None:
    page = server.client.get("/")
    policy = page.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert policy != server.client.get("/").headers["content-security-policy"]
    assert "https://" not in page.text
    assert "/" not in server.client.get("/openapi.json").json()["paths"]
    assert server.client.head("/").status_code == 200
