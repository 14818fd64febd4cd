"""Each kind of dirt: what it makes of a line, and how many lines it takes."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from lakeloop.sources.demo.dirt import UNKNOWN_DESK, Story, kind_of_dirt, spoiled_lines
from lakeloop.spec.demo import Dirt

STORY = Story("bbc-0123456789", "tech", "A title, here\nFirst words. Then £15m more.", "2026-11-16T01:02:03Z")


def lines(kind: str) -> list[str]:
    return spoiled_lines([STORY], Dirt.model_validate({kind: 1.0}))


def only(kind: str) -> dict[str, object]:
    (line,) = lines(kind)
    row: dict[str, object] = json.loads(line)
    return row


def test_a_clean_story_is_one_line() -> None:
    (line,) = spoiled_lines([STORY], Dirt())
    assert json.loads(line) == {
        "story_id": STORY.key,
        "published_at": STORY.published_at,
        "text": STORY.text,
        "desk": "tech",
    }


def test_labels_texts_and_keys_are_spoiled() -> None:
    assert only("missing_label")["desk"] is None
    assert only("unknown_label")["desk"] == UNKNOWN_DESK
    assert str(only("empty_text")["text"]).strip() == ""
    assert isinstance(only("wrong_type")["story_id"], dict)


def test_a_broken_line_is_no_json() -> None:
    (line,) = lines("broken_line")
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_an_exact_duplicate_is_the_same_line_twice() -> None:
    first, second = lines("exact_duplicate")
    assert first == second


def test_a_near_duplicate_differs_in_key_case_spaces_and_punctuation_only() -> None:
    first, second = (json.loads(line) for line in lines("near_duplicate"))
    assert first["story_id"] != second["story_id"]
    assert first["text"] != second["text"]
    assert first["text"].lower() != second["text"].lower()
    words = [re.findall(r"\w+", row["text"].lower()) for row in (first, second)]
    assert words[0] == words[1]
    assert first["desk"] == second["desk"]


def test_shares_are_met_up_to_chance_and_a_story_is_spoiled_once() -> None:
    dirt = Dirt(missing_label=0.05, broken_line=0.1, near_duplicate=0.2)
    kinds = Counter(kind_of_dirt(f"key-{number}", dirt) for number in range(20_000))
    assert kinds["missing_label"] / 20_000 == pytest.approx(0.05, abs=0.005)
    assert kinds["broken_line"] / 20_000 == pytest.approx(0.1, abs=0.007)
    assert kinds["near_duplicate"] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert set(kinds) == {None, "missing_label", "broken_line", "near_duplicate"}
