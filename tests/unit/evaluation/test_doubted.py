"""Planted wrong answers are found by a model that has not seen their rows, the most doubtful first."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.evaluation.doubted import doubts_of, require_doubtable

WORDS = {
    "sports": ("match", "goal", "team", "coach", "league", "cup"),
    "tech": ("chip", "code", "laptop", "server", "browser", "cable"),
    "money": ("bank", "share", "loan", "market", "price", "tax"),
}


def rows(count: int, wrong: set[int], more: tuple[tuple[str, str], ...] = ()) -> pa.Table:
    chance = random.Random(3)
    names = sorted(WORDS)
    made = []
    for number in range(count):
        name = names[number % len(names)]
        text = " ".join(chance.choice(WORDS[name]) for _ in range(5))
        label = names[(number + 1) % len(names)] if number in wrong else name
        made.append((text, label))
    return pa.table(
        {
            "row_id": [f"r{number}" for number in range(count + len(more))],
            "text": [text for text, _ in (*made, *more)],
            "label": [label for _, label in (*made, *more)],
            "text_key": [f"{chance.getrandbits(128):032x}" for _ in range(count + len(more))],
            "partition": ["2026-01-01"] * (count + len(more)),
            "source_file": ["drop"] * (count + len(more)),
            "source_line": list(range(1, count + len(more) + 1)),
        }
    )


def test_planted_wrong_answers_are_found_with_the_right_one_suggested() -> None:
    wrong = {4, 50, 97, 101}
    looked = doubts_of(rows(150, wrong), "label")
    assert {doubt.row_id for doubt in looked.found[:4]} == {f"r{number}" for number in wrong}
    names = sorted(WORDS)
    assert all(doubt.suggested == names[int(doubt.row_id[1:]) % 3] for doubt in looked.found[:4])
    chances = [doubt.given_probability for doubt in looked.found]
    assert chances == sorted(chances)
    assert (looked.rows, looked.left_out) == (150, 0)
    assert looked.found[0].spot == ("2026-01-01", "drop", int(looked.found[0].row_id[1:]) + 1)


def test_nothing_is_said_of_an_answer_that_few_rows_have() -> None:
    looked = doubts_of(rows(60, set(), (("bank of goals", "rare"),)), "label")
    assert (looked.rows, looked.left_out) == (60, 1)
    assert all("rare" not in (doubt.given, doubt.suggested) for doubt in looked.found)


def test_where_all_rows_have_one_answer_there_is_no_doubt() -> None:
    one = rows(30, set())
    assert doubts_of(one.filter(pa.array([n % 3 == 0 for n in range(30)])), "label").found == []
    assert doubts_of(one.slice(0, 0), "label").rows == 0


@pytest.mark.parametrize("kind", ["multi_label", "regression", "token_classification", "seq2seq"])
def test_other_tasks_say_that_their_answers_are_not_doubted(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="not doubted"):
        require_doubtable(kind)
