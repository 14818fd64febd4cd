"""Generated files are served read-only, from their folder alone, without the rights of who opens them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from lakeloop_ui.files import locate

from lakeloop.settings import Settings


@pytest.fixture
def docs(settings: Settings) -> Path:
    day = settings.docs("news") / "2026-11-18"
    day.mkdir(parents=True)
    (day / "index.html").write_text("<h1>Checks</h1>")
    (settings.home / "secret.txt").write_text("secret")
    (settings.docs("other")).mkdir()
    (settings.docs("other") / "index.html").write_text("other")
    return settings.docs("news")


def test_a_page_is_served_and_a_folder_means_its_index(client: TestClient, docs: Path) -> None:
    for path in ("2026-11-18/index.html", "2026-11-18", "2026-11-18/"):
        assert client.get(f"/docs/news/{path}").text == "<h1>Checks</h1>"


def test_a_served_page_has_no_rights_of_the_user_who_opens_it(client: TestClient, docs: Path) -> None:
    answer = client.get("/docs/news/2026-11-18/index.html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy  # so that default-src decides
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_of_dbt_needs_nothing_and_may_fetch_nothing(client: TestClient, settings: Settings) -> None:
    page = settings.dbt_docs("news") / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<script>dbt</script>")
    answer = client.get("/dbt/news/index.html")
    assert answer.text == "<script>dbt</script>"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert not {"allow-same-origin", "https:", "'unsafe-eval'", "connect-src"} & set(policy.split())
    frame = client.get("/view/dbt/news/index.html").text
    assert 'src="/lakeloop/dbt/news/index.html" title="dbt docs"' in frame
    assert client.get("/view/dbt/other/index.html").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../../secret.txt",
        "../other/index.html",
        "2026-11-18/../../../secret.txt",
        "/etc/passwd",
        "2026-11-18/\0",
        "x" * 5000,
        "no/such/page.html",
        "",
    ],
)
def test_nothing_outside_of_the_folder_is_found(docs: Path, path: str) -> None:
    with pytest.raises(HTTPException) as error:
        locate(docs, path)
    assert error.value.status_code == 404


@pytest.mark.parametrize(
    "path",
    ["%2e%2e/%2e%2e/secret.txt", "..%2f..%2fsecret.txt", "2026-11-18%2f..%2f..%2f..%2fsecret.txt", "%00"],
)
def test_encoding_a_path_opens_no_way_out(client: TestClient, docs: Path, path: str) -> None:
    answer = client.get(f"/docs/news/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_link_that_leads_out_is_not_followed(client: TestClient, docs: Path, settings: Settings) -> None:
    (docs / "way-out").symlink_to(settings.home)
    assert client.get("/docs/news/way-out/secret.txt").status_code == 404
