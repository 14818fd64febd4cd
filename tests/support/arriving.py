"""The loop `arriving` for tests: a file of short texts for each of many days, learnt in a moment.

Each day alone would do for another training, so that one too many is seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from lakeloop.cli.scaffold import scaffold
from lakeloop.settings import Settings
from tests.support.valence import far_from_now

NAME = "arriving"
FIRST = date(2026, 10, 20)
ROWS_A_DAY = 40
_WORDS = {
    "sports": ("striker", "goal", "cup", "coach", "match"),
    "tech": ("phone", "chip", "browser", "server", "screen"),
}
_LOOP = """\
name: arriving
description: Sport, or technology.
source:
  kind: files
  path: {folder}/{{partition}}.jsonl
  key: id
  columns: {{id: string, text: string, desk: string}}
task:
  text: text
  label: desk
  labels: [sports, tech]
train:
  candidates: [{{name: words, method: classical}}]
  min_rows: 30
  min_new_rows: 30
gate:
  min_score: 0.5
schedule:
  cron: "{cron}"
"""


def days(count: int) -> list[str]:
    """The first days of the loop, oldest first."""
    return [(FIRST + timedelta(days=number)).isoformat() for number in range(count)]


def write_arriving(settings: Settings, folder: Path, wanted: Sequence[str]) -> None:
    """Begin the loop as a user would, and put a drop for each day into `folder`, an allowed data root."""
    scaffold(NAME, settings, "classification")
    settings.loop_file(NAME).write_text(_LOOP.format(folder=folder, cron=far_from_now()))
    folder.mkdir(parents=True, exist_ok=True)
    for day in wanted:
        write_day(folder, day)


def write_day(folder: Path, day: str, *, edition: int = 1, rows: int = ROWS_A_DAY) -> None:
    """Put the drop of a day there; another `edition` has some rows less, some more, some others."""
    lines = []
    for number in range(edition, rows + edition):
        said = edition if number % 5 == 0 else 1
        draw = random.Random(f"{day} {number} {said}")
        desk = draw.choice(sorted(_WORDS))
        words = draw.choices(_WORDS[desk], k=3)
        text = f"On {day} the {words[0]} and the {words[1]} met the {words[2]}, said report {number}."
        lines.append(json.dumps({"id": f"{day}-{number}", "text": text, "desk": desk}) + "\n")
    (folder / f"{day}.jsonl").write_text("".join(lines))
