"""The evaluation report in a browser: sorted by mouse and keyboard, readable on a phone, without a net."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lakeloop.evaluation.report import Report, render
from lakeloop.tasks.base import Grid
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


def test_a_column_of_texts_has_room_and_one_of_names_wraps(browser: Browser, tmp_path: Path) -> None:
    text = "The printer on the third floor does not answer, and nobody knows why that is so. " * 2
    grid = Grid(
        title="Doubtful answers",
        columns=("text", "right answer", "its probability", "probably", "its probability "),
        rows=((text, "verify_source_of_funds_of_a_card", 0.01, "card_payment_not_recognised_by_me", 0.9),),
        of_rows=True,
    )
    empty = Grid(
        title="Worst slices", columns=("slice", "rows"), rows=(), note="None is worse.", of_rows=True
    )
    found = of_many_classes(3)
    leader = found.candidates[0].model_copy(update={"tables": (grid, empty)})
    found = found.model_copy(update={"candidates": (leader, *found.candidates[1:])})
    loop = small_loop(task={"text": "text", "label": "label", "labels": ("a", "b")})
    path = tmp_path / "index.html"
    path.write_text(render(Report(found, loop, card_of(task_of(loop.task), ("a", "b")))))
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(path.as_uri())
    region = page.get_by_role("region", name="Doubtful answers", exact=True)
    box = region.locator("tbody th").bounding_box()
    assert box is not None
    assert box["width"] > 230
    assert region.evaluate("box => box.scrollWidth <= box.clientWidth")
    expect(page.get_by_role("heading", name="Worst slices")).to_be_visible()
    expect(page.get_by_role("region", name="Worst slices", exact=True)).to_have_count(0)
    page.context.close()
