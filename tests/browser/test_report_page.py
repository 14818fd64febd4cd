"""The evaluation report in a browser: sorted by mouse and keyboard, readable on a phone, without a net."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lakeloop.evaluation.report import Report, render
from lakeloop.tasks.registry import task_of
from tests.support.evidence import card_of, of_many_classes
from tests.support.small_loop import small_loop

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the report on 150 classes."""
    found = of_many_classes(150)
    names = tuple(str(row[0]) for row in found.candidates[0].tables[1].rows)
    loop = small_loop(task={"text": "text", "label": "label", "labels": names})
    path: Path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(render(Report(found, loop, card_of(task_of(loop.task), names * 20))))
    return path.as_uri()


def first_column(page: Page, region: str) -> list[str]:
    rows = page.get_by_role("region", name=region, exact=True).locator("tbody tr")
    found: list[str] = rows.locator("th").all_inner_texts()
    return found


def test_a_heading_sorts_by_mouse_and_keyboard_and_says_how(page: Page, address: str) -> None:
    page.goto(address)
    region = page.get_by_role("region", name="Labels", exact=True)
    worst = first_column(page, "Labels")
    heading = region.get_by_role("columnheader", name="label")
    button = heading.get_by_role("button")
    button.click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert first_column(page, "Labels") == sorted(worst)
    button.press("Enter")
    expect(heading).to_have_attribute("aria-sort", "descending")
    assert first_column(page, "Labels") == sorted(worst, reverse=True)
    region.get_by_role("columnheader", name="F1, finetune").get_by_role("button").press("Space")
    assert heading.get_attribute("aria-sort") is None
    names = region.get_by_role("columnheader").all_inner_texts()
    cells = region.locator(f"tbody tr > :nth-child({names.index('F1, finetune') + 1})")
    values = [float(text) for text in cells.all_inner_texts()]
    assert len(set(values)) > 2
    assert values == sorted(values)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_only_boxes_scroll_sideways(browser: Browser, address: str, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light"
    )
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.scrollHeight") < 16_000
    assert asked == [address]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 24, 30)" if scheme == "dark" else "rgb(255, 255, 255)")
    context.close()


def test_without_a_script_the_headings_are_headings(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.get_by_role("button").count() == 0
    expect(page.get_by_role("columnheader", name="F1, finetune")).to_have_count(1)
    context.close()
