"""The page that dbt makes of a loop's models, in a real Chromium, offline, below the way back to the loop."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from lakeloop.settings import Settings
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.transform import transform
from lakeloop.stages.frame.session import StageContext
from tests.browser.conftest import PATIENCE_MS
from tests.support.dbt_project import write_dbt_project
from tests.support.pages import serving_pages

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DATA = Path(os.environ.get("LAKELOOP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
DAY = "2026-11-20"
LOOP = """\
name: banking
source:
  kind: files
  path: drops/{{partition}}.csv
  key_from: content
  columns: {{text: string, category: string}}
task: {{text: text, label: category, labels: {labels}}}
"""


def test_the_page_of_a_loop_with_many_answers_shows_models_columns_and_answers(
    browser: Browser, tmp_path: Path
) -> None:
    drop = DATA / "banking77/test.csv"
    if not drop.is_file():
        pytest.skip("no banking77 below LAKELOOP_TEST_DATA")
    content = drop.read_text(encoding="utf-8")
    labels = sorted({line.rsplit(",", 1)[1] for line in content.splitlines()[1:] if line.count(",")})
    labels = [label for label in labels if re.fullmatch(r"[\w?]+", label)]
    assert len(labels) == 77
    for path, text in (
        (tmp_path / f"drops/{DAY}.csv", content),
        (tmp_path / "loops/banking/loop.yaml", LOOP.format(labels=str(labels))),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    write_dbt_project(tmp_path / "dbt", "another")
    context = StageContext.open("banking", Settings(root=tmp_path))
    ingest(context, DAY)
    transform(context, DAY)

    with serving_pages(LAKELOOP_ROOT=str(tmp_path)) as pages:
        opened = browser.new_context(viewport={"width": 1400, "height": 900})
        opened.set_default_timeout(PATIENCE_MS)
        opened.add_cookies([{"name": "_token", "value": pages.token, "url": pages.url}])
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        page = opened.new_page()
        page.goto(f"{pages.url}loops/banking?day={DAY}")
        expect(page.get_by_role("cell", name="mart_banking")).to_be_visible()
        page.get_by_role("link", name="dbt docs").click()
        docs = page.frame_locator("iframe")
        expect(docs.get_by_role("strong").filter(has_text="Exposures")).to_be_visible()
        page.goto(f"{pages.url}dbt/banking/index.html#!/exposure/exposure.lakeloop.banking_model")
        for label in (labels[0], labels[-1]):
            expect(page.locator("code").get_by_text(label, exact=True)).to_be_visible()
        page.goto(f"{pages.url}dbt/banking/index.html#!/model/model.lakeloop.mart_banking")
        expect(page.get_by_text("text_key", exact=True).locator("visible=true").first).to_be_visible()
        assert [url for url in asked if not url.startswith((pages.url, "data:", "blob:"))] == []
        opened.close()
