"""Stories to the lines of a drop, some of them spoiled on purpose, so that quarantine and counts can be seen.

A hash of the key gives each story a number from 0 to 1. The shares of the loop file, in the order of `Dirt`,
are laid end to end from 0: where the number falls decides what happens to the story, so a story is spoiled
in one way at most, and the shares are met up to chance. The copies that the duplicates need come at the end.
"""

from __future__ import annotations

import hashlib
import json
import string
from dataclasses import dataclass, replace
from typing import Any

from lakeloop.spec.demo import Dirt

UNKNOWN_DESK = "weather"

_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


@dataclass(frozen=True)
class Story:
    """One text of a corpus."""

    key: str
    desk: str
    text: str
    published_at: str = ""
    """ISO 8601, UTC."""

    def at(self, published_at: str) -> Story:
        return replace(self, published_at=published_at)


def chance(purpose: str, key: str) -> float:
    """A number from 0 to below 1 that depends on `purpose` and `key` only."""
    return int.from_bytes(hashlib.sha256(f"{purpose}:{key}".encode()).digest()[:6]) / 2**48


def spoiled_lines(stories: list[Story], dirt: Dirt) -> list[str]:
    """The lines of a drop, without line ends."""
    lines: list[str] = []
    copies: list[str] = []
    for story in stories:
        kind = kind_of_dirt(story.key, dirt)
        line = _line(story, kind)
        lines.append(line)
        if kind == "exact_duplicate":
            copies.append(line)
        elif kind == "near_duplicate":
            copies.append(_line(_reworded(story), None))
    return lines + copies


def kind_of_dirt(key: str, dirt: Dirt) -> str | None:
    """Name of the field of `dirt` that this story falls under; None for a clean one."""
    shares: dict[str, float] = dirt.model_dump()
    number = chance("dirt", key)
    for kind, share in shares.items():
        if number < share:
            return kind
        number -= share
    return None


def _line(story: Story, kind: str | None) -> str:
    row: dict[str, Any] = {
        "story_id": story.key,
        "published_at": story.published_at,
        "text": story.text,
        "desk": story.desk,
    }
    if kind == "missing_label":
        row["desk"] = None
    elif kind == "empty_text":
        row["text"] = "  "
    elif kind == "unknown_label":
        row["desk"] = UNKNOWN_DESK
    elif kind == "wrong_type":
        row["story_id"] = {"id": story.key}
    line = json.dumps(row, ensure_ascii=False)
    return line[: len(line) // 2] if kind == "broken_line" else line


def _reworded(story: Story) -> Story:
    """The same story under another key: other case, spaces and punctuation, the same letters and digits."""
    title, _, body = story.text.partition("\n")
    text = f"{title.translate(_UPPER)} -\n{body.replace('. ', ' .  ')} ..."
    again = hashlib.sha256(f"again:{story.key}".encode()).hexdigest()[:10]
    return replace(story, key=f"{story.key.partition('-')[0]}-{again}", text=text)
