"""Takes the guide's pictures from the running product: `make up` or `make demo` first, then `make docs`.

Needs Chromium (Debian's package `chromium`). Without it, or when nothing runs, the pictures stay as they are.
"""

from __future__ import annotations

import logging
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from lakeloop.attempt import Attempt
from lakeloop.local import stack
from lakeloop.settings import get_settings
from lakeloop.spec.demo import DEMO_LOOP
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status

log = logging.getLogger("pictures")
PICTURES = Path(__file__).resolve().parent / "pictures"


@dataclass(frozen=True)
class Picture:
    """One page of the product."""

    name: str
    url: str
    wait_for: str
    """Text that is there when the page is complete."""
    framed: bool = False
    """The page is a frame within Airflow's."""


def main() -> int:
    settings = get_settings()
    running = stack.find(settings)
    chromium = shutil.which("chromium")
    if running is None or chromium is None:
        log.warning("pictures left as they are: %s", "nothing runs" if running is None else "no Chromium")
        return 0
    status = loop_status(StageContext.open(DEMO_LOOP, settings, Attempt.local()))
    pictures = [Picture("lakeloop-page", f"{running.airflow_url}/plugin/lakeloop", DEMO_LOOP, framed=True)]
    pictures += [Picture("loop-page", f"{running.airflow_url}/lakeloop/loops/{DEMO_LOOP}", DEMO_LOOP)]
    pictures += [
        Picture(name.replace("_", "-"), Path(status.links[name]).as_uri(), DEMO_LOOP)
        for name in ("report", "data_docs")
        if name in status.links
    ]
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(f"{running.airflow_url}/auth/token/login")
        for picture in pictures:
            _take(page, picture)
        browser.close()
    return 0


def _take(page: Page, picture: Picture) -> None:
    page.goto(picture.url)
    shown = page.frame_locator("iframe") if picture.framed else page
    shown.get_by_text(picture.wait_for).first.wait_for(timeout=60_000)
    page.wait_for_timeout(2000)  # charts and tables of Airflow's pages come after their words
    page.screenshot(path=PICTURES / f"{picture.name}.png")
    log.info("took %s", picture.name)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
