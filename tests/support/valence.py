"""The loop `valence` for tests: how pleasant a short text is, a number that people agreed on.

The texts are tweets with the mean rating of twenty people (Hutto and Gilbert, ICWSM 2014), from the data sets
for tests; where these are not there, sentences made of words of known tone take their place.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

from lakeloop.cli.scaffold import scaffold
from lakeloop.records import now
from lakeloop.settings import Settings

DAYS = ("2026-11-16", "2026-11-17")
_ROWS_A_DAY = 300
_DATA = Path(os.environ.get("LAKELOOP_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
TONES = {
    "awful": -3.0, "sad": -2.0, "dull": -1.0, "plain": 0.0, "nice": 1.0, "happy": 2.0, "wonderful": 3.0,
}  # fmt: skip

_LOOP = """\
name: valence
description: How pleasant a short text is, from -4 to 4.
source:
  kind: files
  path: {folder}/{{partition}}.jsonl
  key: id
  columns: {{id: string, text: string, rating: number}}
task:
  kind: regression
  text: text
  value: rating
  minimum: -4
  maximum: 4
train:
  max_tokens: 32
  epochs: 1
  min_rows: 400
evaluate:
  metric: mae
gate:
  min_score: 2.0 # less is better: a mean error of 2 of 8 points is the worst that passes
schedule:
  cron: "{cron}"
"""


def far_from_now() -> str:
    """A daily schedule whose next run is half a day away: no test meets a run that nobody asked for."""
    return f"0 {(now().hour + 12) % 24} * * *"


def write_valence(settings: Settings, folder: Path) -> None:
    """Begin the loop as a user would, and put two days of drops into `folder`, an allowed data root."""
    scaffold("valence", settings, "regression")
    settings.loop_file("valence").write_text(_LOOP.format(folder=folder, cron=far_from_now()))
    folder.mkdir(parents=True, exist_ok=True)
    rows = _tweets() or _sentences()
    for number, day in enumerate(DAYS):
        lines = rows[number * _ROWS_A_DAY : (number + 1) * _ROWS_A_DAY]
        (folder / f"{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))


def _tweets() -> list[dict[str, object]]:
    path = _DATA / "vader_gold/tweets_GroundTruth.txt"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    parts = [line.split("\t", 2) for line in lines if line.count("\t") >= 2]
    return [{"id": key, "rating": float(rating), "text": text} for key, rating, text in parts]


def _sentences() -> list[dict[str, object]]:
    draw = random.Random(17)
    words = list(TONES)
    found = []
    for number in range(len(DAYS) * _ROWS_A_DAY):
        picked = draw.choices(words, k=3)
        text = f"Day {number} was {picked[0]}, the food was {picked[1]} and the music {picked[2]}."
        rating = sum(TONES[word] for word in picked) / 3
        found.append({"id": f"s{number}", "rating": round(rating, 3), "text": text})
    return found
