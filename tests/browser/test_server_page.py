"""The model server's page in a real browser: what is served, and an answer, by keyboard and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.serving import ServerProcess, add_numbers, open_project, promote

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serves `news`, which has a champion, and `stars`, which has none."""
    context = open_project(tmp_path_factory.mktemp("page") / "project")
    add_numbers(context)
    promote(context, 1)
    running = ServerProcess.start(context.settings, loops=(), poll_seconds=0.05)
    running.await_answer("/v1/loops/news/model")
    yield running
    running.kill()


def test_it_says_what_is_served_and_answers_by_keyboard_alone(server: ServerProcess, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(server.url)
    items = page.locator("ul.loops > li")

    expect(items.nth(0)).to_contain_text("news")
    expect(items.nth(0)).to_contain_text("v1 answers")
    expect(items.nth(0)).to_contain_text("classification")
    expect(items.nth(0).locator("time")).to_contain_text("UTC")
    expect(items.nth(1)).to_contain_text("no model answers")
    expect(items.nth(1)).to_contain_text("lakeloop run stars")
    for _ in range(5):  # three links, the loop, the text
        page.keyboard.press("Tab")
    page.keyboard.type("A story about tech <b>")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#answer strong")).to_have_text("tech")
    expect(page.locator("#answer .bars li")).to_have_count(2)
    expect(page.locator("#answer")).to_contain_text("v1")
    assert said == [], "nothing is refused by the page's own policy"


def test_an_answer_that_is_held_back_is_told_as_unsure(server: ServerProcess, page: Page) -> None:
    scores = {"sports": 0.32, "tech": 0.3}
    held = {"label": None, "score": 0.32, "scores": scores, "abstained": True}
    said = {"predictions": [held], "model_version": "v1", "request_id": "1"}
    page.route("**/predict", lambda route: route.fulfill(json=said))
    page.goto(server.url)
    page.get_by_label("Text").first.fill("neither")
    page.get_by_role("button", name="Ask").click()

    expect(page.locator("#answer strong")).to_have_text("unsure, perhaps sports (32.0 %)")


def test_an_error_is_told_in_words(server: ServerProcess, page: Page) -> None:
    page.goto(server.url)
    page.get_by_label("Text").first.fill("   ")
    page.get_by_role("button", name="Ask").click()

    expect(page.locator("#answer .problem")).to_contain_text("is blank")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_schemes(server: ServerProcess, browser: Browser, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(server.url)
    page.get_by_label("Text").first.fill("tech")
    page.get_by_role("button", name="Ask").click()
    page.locator("#answer strong").wait_for()
    widest = page.evaluate("document.documentElement.scrollWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()

    assert widest == 390
    assert ground == {"light": "rgb(247, 249, 252)", "dark": "rgb(15, 19, 27)"}[scheme]


def test_a_browser_asks_its_user_for_the_key_and_shows_it_for_all_that_the_page_asks(
    browser: Browser, tmp_path: Path
) -> None:
    key = "a-key-of-enough-characters"
    keys = tmp_path / "keys"
    keys.write_text(f"people: {key}\n")
    keys.chmod(0o600)
    project = open_project(tmp_path / "project")
    promote(project, 1)
    server = ServerProcess.start(project.settings, poll_seconds=0.05, keys_file=keys)
    try:
        server.await_answer("/readyz")
        known = browser.new_context(http_credentials={"username": "anybody", "password": key})
        page = known.new_page()
        opened = page.goto(server.url)
        assert opened is not None
        assert opened.status == 200
        page.get_by_label("Text").first.fill("A story about tech")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#answer strong")).to_have_text("tech")
        for path in ("/docs", "/openapi.json", "/v1/loops", "/metrics"):
            linked = page.goto(server.url + path)
            assert linked is not None
            assert linked.status == 200, path
        known.close()

        stranger = browser.new_context(http_credentials={"username": "anybody", "password": "wrong"})
        refused = stranger.new_page().goto(server.url)
        assert refused is not None
        assert refused.status == 401
        stranger.close()
    finally:
        server.kill()
