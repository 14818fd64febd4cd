"""Section `score`: what is answered, where to, and when; what cannot be is refused with the loop file."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.paths import confine_all
from lakeloop.spec.reading.override import override
from tests.support.small_loop import small_loop


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ({"source": "s3://bucket/x.csv"}, "a path of this machine"),
        ({"source": "in/{day}.csv"}, "no other braces"),
        ({"source": "in/a**.csv"}, r"\*\* as a name of its own"),
        ({"source": "mart", "to": "answers.csv"}, r"a Parquet file, \.parquet"),
        ({"when": ["input"]}, "missing key"),
        ({"source": "mart", "when": ["day"]}, "not at the time of a table"),
        ({"source": "in.csv", "when": ["day", "champion"]}, "day alone"),
        ({"source": "in.csv", "when": ["input"]}, "nothing would start it"),
        ({"source": "mart", "when": ["hourly"]}, "day"),
        ({"source": "mart", "top": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(score: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        small_loop(score=score)


def test_it_is_off_unless_it_is_asked_for() -> None:
    score = small_loop().score
    assert (score.source, score.to, score.when) == (None, None, ())


@pytest.mark.parametrize("key", ["source", "to"])
def test_paths_are_confined_when_the_loop_file_is_checked(tmp_path: Any, key: str) -> None:
    loop = small_loop(score={"source": "mart", key: "../../x.parquet"})
    (error,) = confine_all(loop, Settings(root=tmp_path))
    assert isinstance(error, ConfigurationError)
    assert f"score.{key}" in str(error)


@pytest.mark.parametrize("when", [["input"], ["input", "champion"]])
def test_other_rows_can_be_answered_by_hand_whatever_starts_the_dag(when: list[str]) -> None:
    loop = small_loop(score={"source": "mart", "when": when, "top": 2})
    by_hand = override(loop, {"score.source": "in.csv"}).score
    assert (by_hand.source, by_hand.top, by_hand.when) == ("in.csv", 2, ())
    assert override(loop, {"score.top": 1}).score.when == tuple(when)
