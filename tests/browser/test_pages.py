"""A person at the Lakeloop pages: from the overview to a day, a version and back; and whether all can."""

from __future__ import annotations

import io
import json
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
from lakeloop.quality.alike import Conflict, Conflicts, Saying
from lakeloop.quality.checkpoint import Audit, CheckResult
from lakeloop.quality.history import Compared
from lakeloop.quality.page import DayReport
from lakeloop.quality.quarantine import Row, SetAside
from lakeloop.records import Counts
from lakeloop.registry.registry import Registry
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.session import StageContext
from lakeloop.tasks.registry import task_of
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from tests.browser.conftest import PATIENCE_MS
from tests.support import quick_stages
from tests.support.evidence import card_of, evidence, model, of_many_classes
from tests.support.pages import USER, Pages, serving_pages
from tests.support.serving import ServerProcess, add_numbers, open_project, promote
from tests.support.small_loop import small_loop

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(180)]

DAYS = ("2026-11-16", "2026-11-17", "2026-11-18")
FAILED = "2026-11-20"
SET_ASIDE = "2026-11-09"
"""A day of which rows are in quarantine."""
NAMES = tuple(f"label_number_{number}_of_those_that_there_are" for number in range(77))
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
        context.set_default_timeout(PATIENCE_MS)
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


def write_checks(context: StageContext) -> None:
    """The page of a day's checks in a loop of many labels: long lists, each outcome, rows set aside."""
    before = (0.02, None, 0.03, 0.02)
    shares = [Compared(name, 0.01, 0.0, 0.05, 0.02, before, "share") for name in NAMES]
    known = f"one of {', '.join(NAMES)}"
    checks = (
        CheckResult("day_mi/n_rows", success=True, expected="at least 20 row(s) pass", found="400 row(s)"),
        CheckResult("labels", success=False, expected=known, found="3 of 400"),
        CheckResult("text_length", False, "text: long", "9 of 400 row(s) fail", severity="warn", mostly=0.99),
        CheckResult("history_shares", False, "as usual", "odd", "warn", compared=tuple(shares)),
        CheckResult("history_volume", True, "as usual", "not enough history: 3 of 7 days", judged=False),
        *(CheckResult(f"label_share_of_{name}", True, known, "4 row(s)") for name in NAMES[:9]),
    )
    account = {"lines_read": 403, "good": 397, "quarantined": 4, "duplicates": 2}
    raw = json.dumps({"id": "a1", "text": "The printer does not answer.", "desk": "tec"})
    place = {"partition": "read", "stage": "validate", "column": "label", "reason": "label_unknown"}
    row = Row.of(
        {
            **dict.fromkeys(Row.model_fields), **place, "source_line": 3, "raw": raw,
            "detail": f"label_unknown: expected {known}, found tec", "source_file": "data/2026-11-16.jsonl",
        }
    )  # fmt: skip
    aside = SetAside(**place, rows=4, first_line=3, first_detail=row.detail)
    sayings = (Saying("tech", "a.jsonl", 3, stays=True), Saying("sports", "a.jsonl", 9, stays=False))
    conflicts = Conflicts(1, 2, (Conflict("The same text", sayings),))
    report = DayReport("news", "read", "run#1", Audit(checks, {}), account, (aside,), (row,), conflicts)
    report.write(context.settings.docs("news") / "read")


def set_aside(context: StageContext) -> None:
    """A day whose drop has a row with a label that is not known, and a line that is broken."""
    drop = context.settings.root / f"drops/{SET_ASIDE}.jsonl"
    drop.parent.mkdir(exist_ok=True)
    rows = [{"id": f"a{n}", "text": f"A story about tech {n}", "desk": "tech"} for n in range(3)]
    lines = [*map(json.dumps, [*rows, {"id": "a3", "text": "One more", "desk": "cooking"}]), "broken"]
    drop.write_text("".join(f"{line}\n" for line in lines))
    (context.settings.dbt / "dbt_project.yml").touch()
    for stage in (ingest, quick_stages.transform, quick_stages.validate):
        stage(context, SET_ASIDE)


def fill(context: StageContext, folder: Path) -> None:
    """Two versions, the days before them, a day that failed, an evaluation of each day, and a training."""
    set_aside(context)
    write_checks(context)
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
    value = page.frame_locator("iframe").locator(".checks summary").first.bounding_box()
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
    f"quarantine/news?day={SET_ASIDE}&reason=label_unknown",
    f"quarantine/news/row?day={SET_ASIDE}&file=drops%2F{SET_ASIDE}.jsonl&line=4",
    f"view/docs/news/{DAYS[0]}/index.html",
    "models/news/v99",
)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["light", "dark-phone"])
def test_all_pages_can_be_used_by_everybody(site: Site, browser: Browser, width: int, dark: bool) -> None:
    """By the rules of axe-core nothing serious; and on a phone nothing is cut off."""
    page = site.open(browser, width, dark=dark)
    wrong = {}
    checks = (site.context.settings.docs("news") / "read/index.html").as_uri()
    for path in (*(f"{site.pages.url}{path}" for path in PATHS), checks):
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
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
    page.context.close()


def test_a_person_mends_a_row_by_a_label_of_the_list(site: Site, browser: Browser) -> None:
    page = site.open(browser, 390)
    page.goto(f"{site.pages.url}quarantine/news?day={SET_ASIDE}&reason=label_unknown")
    page.get_by_role("link", name=f"Edit line 4 of drops/{SET_ASIDE}.jsonl").click()
    label = page.get_by_role("combobox", name="desk")
    expect(label).to_have_value("cooking")
    assert page.locator("datalist option").evaluate_all("all => all.map(each => each.value)") == [
        "sports",
        "tech",
    ]
    label.fill("gardening")
    page.get_by_role("textbox", name="Why").fill("a slip")
    page.get_by_role("button", name="Take it in as it is here").click()
    expect(page.locator(".notice.failed")).to_contain_text("found gardening")
    expect(label).to_have_value("gardening")
    tick = page.get_by_role("checkbox", name="Leave this row out for good").bounding_box()
    words = page.get_by_text("Leave this row out for good").bounding_box()
    assert tick is not None
    assert words is not None
    assert abs(tick["y"] - words["y"]) < 12, "the box stands beside what it says"
