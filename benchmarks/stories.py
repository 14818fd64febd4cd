"""Generated rows of texts with all that a day of them can have: bad rows, near-duplicates, conflicts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DAY = "2026-11-16"
COLUMNS = {"id": "string", "at": "timestamp", "text": "string", "label": "string", "score": "number"}
LABELS = ("business", "sports", "tech")
_SENTENCE = (
    "loop reads a drop of rows and says where each belongs or why not after the market opened higher on "
    "Monday while the team from York signed another keeper for 1.5 million pounds"
)
_WORDS = _SENTENCE.split(" ")
_NOT_ASCII = ("café", "Zürich", "naïve", "it\u2019s", "\u2013", "£20", "東京")
_MARKS = (",", ".", ";", "!", "?", ":")
_TEXTS = 10_000


def write_drop(path: Path, rows: int) -> None:
    """Write `rows` as JSON Lines; some are bad in each way that validation knows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in stories(rows):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def stories(rows: int) -> Iterator[dict[str, Any]]:
    """The same rows at each call, about 315 bytes as JSON.

    Of 1000 rows about 10 are near-duplicates (one of them with another label), 5 have an unknown label, 2
    none, 2 an empty text, 0.2 the key of the row before, and 0.1 a key of the wrong form.
    """
    chance = random.Random(17)  # noqa: S311  (no secret)
    texts = [_text(chance) for _ in range(_TEXTS)]
    before: dict[str, Any] = {}
    for number in range(rows):
        row = {
            "id": f"row-{number:09d}",
            "at": f"{datetime.fromtimestamp(1_763_251_200 + number % 86_400, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "text": f"{number} {texts[number % _TEXTS]}",
            "label": LABELS[number % len(LABELS)],
            "score": number / 7,
        }
        if before:
            row |= _spoilt(number, row, before)
        yield row
        before = row


def _text(chance: random.Random) -> str:
    """About 220 characters: a mark behind each eighth word; one text in five is not ASCII, one in twenty has
    white space to be put right."""
    words = chance.choices(_WORDS, k=38)
    for place in range(3, len(words), 8):
        words[place] += chance.choice(_MARKS)
    if chance.random() < 0.2:
        words[chance.randrange(len(words))] = chance.choice(_NOT_ASCII)
    return ("  " if chance.random() < 0.05 else " ").join(words)


def _spoilt(number: int, row: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """What is different in the row `number`; mostly nothing."""
    near = {"text": before["text"].upper() + "!", "label": before["label"]}
    contradiction = {"text": before["text"], "label": LABELS[(number + 1) % len(LABELS)]}
    ways = (
        (100, 9, near),
        (1000, 11, contradiction),
        (5000, 13, {"id": before["id"]}),
        (10_000, 17, {"id": row["id"].replace("row", "line")}),
        (200, 3, {"label": "cooking"}),
        (500, 5, {"text": "  "}),
        (500, 7, {"label": None}),
    )
    return next((spoilt for every, place, spoilt in ways if number % every == place), {})
