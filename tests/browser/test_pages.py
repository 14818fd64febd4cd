"""A person at the Lakeloop pages: from the overview to a day, a version and back; and whether all can."""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from lakeloop.errors import DataError
from lakeloop.evaluation.report import Report, render
from lakeloop.evaluation.stored import OUTPUT, store
from lakeloop.quality.checkpoint import Audit, CheckResult
from lakeloop.quality.page import DayReport
from lakeloop.records import Counts
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from lakeloop.tasks.registry import task_of
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from tests.support.evidence import card_of, evidence, model, of_many_classes
from tests.support.pages import USER, Pages, serving_pages
from tests.support.serving import ServerProcess, add_numbers, open_project, promote
from tests.support.small_loop import small_loop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

DAYS = ("2026-11-16", "2026-11-17", "2026-11-18")
FAILED = "2026-11-20"
TRAINING = JournalIdentity("news", "train-finetune-job", DAYS[-1], "job-1")


@dataclass(frozen=True)
class Site:
    """Pages about a loop `news` that ran, and `stars`, which did not."""

    pages: Pages
    context: StageContext

    def open(self, browser: Browser, width: int = 1280, *, dark: bool = False) -> Page:
        """The overview in a window of its own, as the user sees it."""
        context = browser.new_context(
            viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light"
        )
        context.add_cookies([{"name": "_token", "value": self.pages.token, "url": self.pages.url}])
        page = context.new_page()
        page.goto(self.pages.url)
        return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    context = open_project(folder / "project")
    add_numbers(context)
    fill(context, folder)
    server = ServerProcess.start(context.settings, loops=("news",), poll_seconds=0.05)
    try:
        server.await_answer("/v1/loops/news/model")
        root, home = str(context.settings.root), str(context.settings.home)
        environment = {"LAKELOOP_ROOT": root, "LAKELOOP_HOME": home, "LAKELOOP_SERVER_URL": server.url}
        with serving_pages(**environment) as pages:
            yield Site(pages, context)
    finally:
        server.kill()


def fill(context: StageContext, folder: Path) -> None:
    """Two versions, the days before them, a day that failed, an evaluation of each day, and a training."""
    metric = context.loop.metric.name
    found = store(context.lake.files, evidence(model("baseline", {metric: 0.5})), folder / "scratch")
    for number, day in enumerate(DAYS):
        made = ""
        for stage, table in (("ingest", "raw"), ("transform", "staging"), ("validate", "mart")):
            with context.stage(stage, day) as work:
                work.inputs(rows=made or "drop")
                made = f"{table} {day}"
                counts = Counts(read=10, accepted=10)
                docs = context.settings.docs("news") / day / "index.html"
                work.done(
                    reason="10 rows", outputs={table: made}, counts=counts, links={"data_docs": str(docs)}
                )
        docs.parent.mkdir(parents=True)
        docs.write_text(f"<!doctype html><html lang=en><title>Checks</title><h1>Checks of {day}</h1>")
        with context.stage("evaluate", day) as work:
            work.inputs(dataset="d" * 64)
            scores = {"baseline": 0.5, "finetune": 0.6 + number / 10}
            named = {f"{name}/{metric}": score for name, score in scores.items()}
            work.done(reason="", outputs={OUTPUT: found, "rows": "445"}, metrics=named)
    with suppress(DataError), context.stage("ingest", FAILED):
        raise DataError("more rows quarantined than allowed", found="40 of 100", expected="at most 10 %")
    with JournalTracker(TRAINING.path(context.settings.journals), TRAINING) as tracker:
        for step in range(10, 60, 10):
            tracker.log({"train/loss": 1 / step, "train/learning_rate": 0.01 * (60 - step)}, step)
        tracker.log(
            {"epoch": 1, "train/epoch_loss": 0.1, "validation/loss": 0.2, f"validation/{metric}": 0.8}, 50
        )
    for number in (1, 2):
        promote(context, number)


def test_a_person_walks_to_a_day_and_back_by_keyboard(site: Site, browser: Browser) -> None:
    page = site.open(browser)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    card = page.locator("article#news")
    expect(card).to_contain_text("failing")
    expect(card).to_contain_text(f"ingest {FAILED} failed: more rows quarantined than allowed")
    expect(card.get_by_role("img", name="3 evaluations, from 0.6000 to 0.8000")).to_be_visible()
    expect(page.locator("article#stars")).to_contain_text("never ran")
    card.get_by_role("link", name="news", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="news", exact=True)).to_be_visible()
    day = page.get_by_role("link", name=f"{DAYS[1]}: published, 10 of 10 rows")
    day.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#day")).to_contain_text("10 read = 10 accepted + 0 quarantined + 0 duplicates")
    assert page.url.endswith(f"/loops/news?day={DAYS[1]}#day"), "an address that can be shared"
    page.get_by_role("link", name="Data Docs of the day").click()
    inside = page.frame_locator("iframe").get_by_role("heading", name=f"Checks of {DAYS[1]}")
    expect(inside).to_be_visible()
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="news").click()
    page.get_by_role("link", name=f"Curves of train-finetune {DAYS[-1]}").click()
    expect(page.get_by_role("img", name="Loss: training, by step from 0.1000 to 0.0200")).to_be_visible()
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Lakeloop").click()
    expect(page.get_by_role("heading", name="Loops")).to_be_visible()
    assert said == [], "nothing is refused by the pages' own policy"


def test_a_person_asks_the_model(site: Site, browser: Browser) -> None:
    page = site.open(browser, 390)
    page.get_by_role("link", name="Open news").click()
    page.get_by_role("textbox", name="Text").fill("A story about tech <b>")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("status").locator("b")).to_contain_text("tech")
    expect(page.get_by_role("status")).to_contain_text("by v")
    assert "tech" not in page.url
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_person_rolls_back_for_a_reason(site: Site, browser: Browser) -> None:
    page = site.open(browser)
    page.get_by_role("link", name="Open news").click()
    page.get_by_role("region", name="Versions").get_by_role("link", name="v1").click()
    button = page.get_by_role("button", name="Roll back to v1")
    button.click()
    expect(button).to_be_visible()  # the browser asks for the reason first
    page.get_by_role("textbox", name="Why").fill("answers <badly>")
    button.click()
    expect(page.locator("#move")).to_contain_text(f"{USER} made it champion on")
    expect(page.locator("#move")).to_contain_text("answers <badly>")
    expect(button).to_have_count(0)
    champion = Registry(site.context.lake).champion()
    assert champion is not None
    assert champion.name == "v1"
    page.goto(f"{site.pages.url}models/news/v2")
    expect(page.get_by_role("button", name="Make champion: v2")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_what_a_frame_shows_can_be_read_in_both_schemes(site: Site, browser: Browser, dark: bool) -> None:
    names = tuple(f"label number {number}" for number in range(77))
    checks = (
        CheckResult("day_mi/n_rows", success=True, expected="at least 20 row(s) pass", found="400 row(s)"),
        CheckResult("labels", success=False, expected=f"one of {', '.join(names)}", found="3 of 400"),
    )
    account = {"lines_read": 3, "good": 3, "quarantined": 0, "duplicates": 0}
    written = DayReport("news", "read", "run#1", Audit(checks, {}), account, (), ())
    written.write(site.context.settings.docs("news") / "read")
    found = of_many_classes(9)
    loop = small_loop(task={"text": "text", "label": "label", "labels": ("a", "b")})
    report = site.context.settings.reports("news") / "read" / "index.html"
    report.parent.mkdir(parents=True, exist_ok=True)
    card = card_of(task_of(loop.task), ("a", "b"))
    report.write_text(render(Report(found, loop, card)))
    page = site.open(browser, dark=dark)
    for kind in ("docs", "reports"):
        page.goto(f"{site.pages.url}view/{kind}/news/read/index.html")
        frame = page.frame_locator("iframe")
        expect(frame.locator("h1")).to_be_visible()
        shown = Image.open(io.BytesIO(page.locator("iframe").screenshot())).convert("L")
        low, high = shown.getextrema()
        ground = statistics.mode(shown.resize((200, 200)).tobytes())
        assert (ground < 60) == dark, kind
        assert high - low > 150, kind
    page.goto(f"{site.pages.url}view/docs/news/read/index.html")
    name = page.frame_locator("iframe").get_by_text("day_mi/n_rows").bounding_box()
    value = page.frame_locator("iframe").locator(".checks summary").bounding_box()
    assert name is not None
    assert value is not None
    assert name["height"] < 30, "a name stays on one line"
    assert value["height"] < 200
    page.context.close()


PATHS = (
    "",
    "loops/news",
    f"loops/news?day={FAILED}",
    f"impact/news/{DAYS[0]}",
    "loops/stars",
    "models/news/v1",
    "models/news/v2",
    f"curves/news/{TRAINING.stage}/{TRAINING.partition}/{TRAINING.run}",
    "quarantine/news",
    f"view/docs/news/{DAYS[0]}/index.html",
    "models/news/v99",
)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark-phone"])
def test_all_pages_can_be_used_by_everybody(site: Site, browser: Browser, width: int, dark: bool) -> None:
    """By the rules of axe-core nothing serious; and on a phone nothing is cut off."""
    page = site.open(browser, width, dark=dark)
    wrong = {}
    for path in PATHS:
        page.goto(f"{site.pages.url}{path}")
        found = Axe().run(page).response["violations"]
        serious = [
            (one["id"], [node["html"][:200] for node in one["nodes"]])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]
        wide = page.evaluate("document.documentElement.scrollWidth")
        if serious or wide > width:
            wrong[path] = (serious, wide)
    assert wrong == {}
